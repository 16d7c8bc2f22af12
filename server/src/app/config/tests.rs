//! What wins, what is refused, and what is said about it.

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn invocation(command: Command, given: &[(&str, &str)]) -> Invocation {
    let row = |(key, text): &(&str, &str)| {
        let setting = Setting::named(key).unwrap();
        (setting, (*text).to_owned(), format!("--{}", setting.flag()))
    };
    Invocation {
        command,
        file: None,
        json: false,
        given: given.iter().map(row).collect(),
        invitation: Default::default(),
    }
}

/// A file in a fresh folder that is removed with the returned guard.
fn with_file(text: &str, given: &[(&str, &str)]) -> Result<Config, Unusable> {
    let folder = std::env::temp_dir().join(format!("baton-{:x}", rand::random::<u64>()));
    fs::create_dir(&folder).unwrap();
    let path = folder.join("baton.toml");
    fs::write(&path, text).unwrap();
    let loaded = load(&Invocation {
        file: Some(path),
        ..invocation(Command::All, given)
    });
    fs::remove_dir_all(folder).unwrap();
    loaded
}

fn told(unusable: Result<Config, Unusable>) -> String {
    unusable.unwrap_err().to_string()
}

#[test]
fn flags_win_over_the_file_and_the_file_over_the_defaults() {
    let text = "http = \"127.0.0.1:1\"\nadmin = \"127.0.0.1:2\"\nworkers = 3\nannounce = [\"203.0.113.7\"]";
    let config = with_file(text, &[("http", "127.0.0.1:9")]).unwrap();
    assert_eq!(config.http.port(), 9);
    assert_eq!(config.admin.port(), 2);
    assert_eq!(config.media.port(), 7881);
    assert_eq!(config.workers.get(), 3);
    assert_eq!(config.announce, ["203.0.113.7".parse().unwrap()]);
    let shown = config.shown();
    assert!(
        shown.contains("http = \"127.0.0.1:9\"  # --http\n"),
        "{shown}"
    );
    assert!(shown.contains("baton.toml line 3"), "{shown}");
    assert!(
        shown.contains("media = \"127.0.0.1:7881\"  # default\n"),
        "{shown}"
    );
}

#[test]
fn all_mistakes_are_told_at_once_with_their_places() {
    let text = "htpp = \"x\"\ntls = \"on\"\nworkers = 0\n";
    let told = told(with_file(
        text,
        &[("media", "somewhere"), ("secret", "short")],
    ));
    for part in [
        "baton.toml line 1: there is no setting `htpp`; did you mean `http`?",
        "baton.toml line 2: `tls` is one of off, self-signed, files, not \"on\"",
        "baton.toml line 3: `workers` is a number from 1 to 256",
        "--media: `media` is an IP address with a port",
        "--secret: a secret has 32 bytes or more",
    ] {
        assert!(told.contains(part), "{part}\nis missing in\n{told}");
    }
}

#[test]
fn an_uplink_is_divided_by_one_worker() {
    let config = with_file("uplink = 20000\n", &[]).unwrap();
    assert_eq!((config.uplink, config.workers.get()), (Some(20_000), 1));
    let said = told(with_file("uplink = 20000\nworkers = 2\n", &[]));
    assert!(said.contains("leave workers out"), "{said}");
    let said = told(with_file("uplink = 10\n", &[]));
    assert!(said.contains("a number of kb/s from 100"), "{said}");
}

#[test]
fn others_are_let_near_only_with_a_secret() {
    let public = [
        ("http", "0.0.0.0:80"),
        ("http", "[::]:80"),
        ("media", "192.0.2.1:7881"),
    ];
    for (key, address) in public {
        let without = load(&invocation(Command::All, &[(key, address)])).unwrap();
        let Err(Unusable::Unsafe(text)) = without.check(Command::All) else {
            panic!("{key} = {address} was let through");
        };
        assert!(
            text.contains(key) && text.contains("openssl rand"),
            "{text}"
        );
        let with = load(&invocation(
            Command::All,
            &[(key, address), ("secret", SECRET)],
        ))
        .unwrap();
        assert!(with.check(Command::All).is_ok());
    }
    let loopback = load(&invocation(Command::All, &[("http", "[::1]:0")])).unwrap();
    assert!(loopback.check(Command::All).is_ok());
    let media = load(&invocation(Command::Signaling, &[("media", "0.0.0.0:1")])).unwrap();
    assert!(
        media.check(Command::Signaling).is_ok(),
        "signaling has no media socket"
    );
}

#[test]
fn a_turn_server_needs_its_secret() {
    let urls = ("turn_urls", "turn:a.example:3478,turns:a.example");
    assert!(told(load(&invocation(Command::All, &[urls]))).contains("turn_secret"));
    let config = load(&invocation(Command::All, &[urls, ("turn_secret", "s")])).unwrap();
    assert_eq!(config.turn_urls.len(), 2);
    assert!(!config.shown().contains("turn_secret = \"s\""));
    let wrong = [("turn_urls", "stun:a.example"), ("turn_secret", "s")];
    assert!(told(load(&invocation(Command::All, &wrong))).contains("turn: or turns:"));
}

#[test]
fn each_command_says_what_it_is_missing() {
    type Case = (
        Command,
        &'static [(&'static str, &'static str)],
        &'static str,
    );
    let cases: [Case; 3] = [
        (Command::Host, &[], "signaling"),
        (
            Command::Host,
            &[("signaling", "http://localhost")],
            "host_token",
        ),
        (Command::Token, &[], "secret_file"),
    ];
    for (command, given, part) in cases {
        let checked = load(&invocation(command, given)).unwrap().check(command);
        assert!(
            checked.unwrap_err().to_string().contains(part),
            "{command:?}"
        );
    }
}

#[test]
fn https_from_files_needs_both_files_and_is_meant_when_both_are_given() {
    assert!(told(load(&invocation(Command::All, &[("tls", "files")]))).contains("tls_key"));
    assert!(told(load(&invocation(Command::All, &[("tls_cert", "a")]))).contains("tls_key"));
    let config = load(&invocation(
        Command::All,
        &[("tls_cert", "a"), ("tls_key", "b")],
    ))
    .unwrap();
    assert_eq!(config.tls, TlsMode::Files);
}

#[test]
fn no_secret_is_ever_shown() {
    let given = [("secret", SECRET), ("host_token", "to.ken.x")];
    let config = load(&invocation(Command::All, &given)).unwrap();
    assert!(!config.shown().contains("0123") && !config.shown().contains("to.ken"));
    assert!(!format!("{:?}", config.secret).contains("0123"));
}

#[test]
fn a_mistyped_variable_is_told_and_a_foreign_one_is_not() {
    let names = [
        "BATON_SECERT",
        "BATON_HTTP",
        "BATON_PORT_7880_TCP_PROTO",
        "PATH",
    ];
    let told = mistyped(names.into_iter().map(str::to_owned));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].to_string().contains("did you mean `BATON_SECRET`?"));
}

#[test]
fn the_defaults_of_the_table_are_the_defaults_in_force() {
    let mut config = Config::default();
    let before = format!("{config:?}");
    for setting in SETTINGS
        .iter()
        .filter(|setting| !setting.default.is_empty())
    {
        config
            .apply(setting, &Value::Text(setting.default.to_owned()))
            .unwrap();
    }
    assert_eq!(format!("{config:?}"), before);
}

#[test]
fn every_row_of_the_table_can_be_set() {
    for setting in SETTINGS {
        // Most refuse this text; none must be forgotten.
        let _ = Config::default().apply(setting, &Value::Text("x".to_owned()));
    }
}

#[test]
fn what_carries_a_room_and_when_it_moves_can_be_set() {
    let text = "hosting = \"prefer-participant\"\nhosting_rules = \"seasoned=5\"";
    let config = with_file(text, &[]).unwrap();
    assert_eq!(config.hosting, HostingPolicy::PreferParticipant);
    assert_eq!(config.hosting_rules.seasoned.as_secs(), 5);
    let config = with_file(text, &[("hosting", "central")]).unwrap();
    assert_eq!(config.hosting, HostingPolicy::Central);
    let wrong = told(with_file("hosting = \"sometimes\"", &[]));
    assert!(
        wrong.contains("central, auto, prefer-participant"),
        "{wrong}"
    );
    let wrong = told(with_file("hosting_rules = \"season=5\"", &[]));
    assert!(wrong.contains("there is no rule"), "{wrong}");
}
