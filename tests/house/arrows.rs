//! Dependency arrows between the packages, as `cargo metadata` tells them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::expect_none;

/// Who may name whom of this workspace in its manifest.
const ARROWS: &[(&str, &[&str])] = &[
    ("baton-protocol", &[]),
    ("baton-engine", &["baton-protocol"]),
    ("baton-signaling", &["baton-protocol"]),
    ("baton-web", &[]),
    (
        "baton-server",
        &[
            "baton-engine",
            "baton-protocol",
            "baton-signaling",
            "baton-web",
        ],
    ),
    (
        "baton-client",
        &["baton-engine", "baton-protocol", "baton-server"],
    ),
    (
        "baton-tests",
        &[
            "baton-client",
            "baton-engine",
            "baton-protocol",
            "baton-server",
            "baton-signaling",
            "baton-web",
        ],
    ),
];

/// Crates that bring sockets, clocks, threads or a runtime; a pure package does not name them.
const IMPURE: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "quinn-udp",
    "axum",
    "hyper",
    "rustix",
    "libc",
    "nix",
    "async-io",
];

/// All that the words of the wire are made of.
const PROTOCOL_MAY_NAME: &[&str] = &["serde", "thiserror"];

/// Package name to the names in `[dependencies]`, without those for tests only.
type Manifests = BTreeMap<String, Vec<String>>;

fn manifests() -> Manifests {
    let metadata = crate::workspace();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
            (
                text(&package["name"]),
                normal.map(|dependency| text(&dependency["name"])).collect(),
            )
        })
        .collect()
}

fn wrong_arrows(manifests: &Manifests) -> Vec<String> {
    let mut complaints = Vec::new();
    for (package, dependencies) in manifests {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == package) else {
            complaints.push(format!(
                "{package} is new: say in tests/house/arrows.rs whom it may depend on"
            ));
            continue;
        };
        let inside = dependencies
            .iter()
            .filter(|name| name.starts_with("baton-"));
        for dependency in inside.filter(|name| !allowed.contains(&name.as_str())) {
            complaints.push(format!("{package} must not depend on {dependency}"));
        }
    }
    complaints
}

fn impure_manifests(manifests: &Manifests) -> Vec<String> {
    let mut complaints = Vec::new();
    for package in ["baton-protocol", "baton-engine"] {
        let dependencies = manifests.get(package).into_iter().flatten();
        for dependency in dependencies {
            let foreign =
                package == "baton-protocol" && !PROTOCOL_MAY_NAME.contains(&dependency.as_str());
            if IMPURE.contains(&dependency.as_str()) || foreign {
                complaints.push(format!(
                    "{package} is pure and must not depend on {dependency}"
                ));
            }
        }
    }
    complaints
}

#[test]
fn packages_depend_on_each_other_only_along_the_arrows() {
    let manifests = manifests();
    assert!(manifests.len() >= ARROWS.len(), "{manifests:?}");
    expect_none(&wrong_arrows(&manifests));
}

#[test]
fn the_pure_packages_name_no_runtime_and_no_socket() {
    expect_none(&impure_manifests(&manifests()));
}

#[test]
fn a_planted_arrow_is_found() {
    let mut planted = manifests();
    planted
        .get_mut("baton-signaling")
        .unwrap()
        .push("baton-engine".into());
    planted
        .get_mut("baton-engine")
        .unwrap()
        .push("tokio".into());
    planted
        .get_mut("baton-protocol")
        .unwrap()
        .push("chrono".into());
    planted.insert("baton-shiny".into(), Vec::new());
    assert_eq!(wrong_arrows(&planted).len(), 2);
    assert_eq!(impure_manifests(&planted).len(), 2);
}
