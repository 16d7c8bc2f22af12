//! Asks the computer how it is powered and what its line costs.
//!
//! Linux says both; elsewhere they are unknown for now, and the owner decides with flags.

use std::path::Path;
use std::process::Command;

use super::{Metering, Power};

/// How this computer is powered.
pub fn power() -> Power {
    if cfg!(target_os = "linux") {
        power_in(Path::new("/sys/class/power_supply"))
    } else {
        Power::Unknown
    }
}

/// What the line costs, as the network manager knows it. Starts a program and waits for it: not for a busy thread.
pub fn metering() -> Metering {
    if !cfg!(target_os = "linux") {
        return Metering::Unknown;
    }
    let name = "org.freedesktop.NetworkManager";
    let output = Command::new("busctl")
        .args(["--system", "--timeout=2", "get-property", name])
        .args(["/org/freedesktop/NetworkManager", name, "Metered"])
        .output();
    match output {
        Ok(output) if output.status.success() => metering_of(&output.stdout),
        Ok(_) | Err(_) => Metering::Unknown,
    }
}

/// The kernel's list (Documentation/ABI/testing/sysfs-class-power): batteries of mice and keyboards have the scope of a device.
fn power_in(supplies: &Path) -> Power {
    let Ok(entries) = std::fs::read_dir(supplies) else {
        return Power::Unknown;
    };
    let mut emptiest = None;
    let mut is_plugged = false;
    for supply in entries.flatten() {
        let read = |name: &str| {
            let text = std::fs::read_to_string(supply.path().join(name));
            text.map_or_else(|_| String::new(), |text| text.trim().to_owned())
        };
        match read("type").as_str() {
            "Mains" | "USB" | "Wireless" => is_plugged |= read("online") == "1",
            "Battery" if read("scope") != "Device" => {
                is_plugged |= matches!(
                    read("status").as_str(),
                    "Charging" | "Full" | "Not charging"
                );
                let percent = read("capacity").parse().unwrap_or(0_u8).min(100);
                emptiest = Some(emptiest.map_or(percent, |known: u8| known.min(percent)));
            }
            _ => {}
        }
    }
    match emptiest {
        Some(percent) if !is_plugged => Power::Battery(percent),
        _ => Power::Mains,
    }
}

/// `u 4`: the numbers of NMMetered (1 yes, 2 no, 3 probably, 4 probably not).
fn metering_of(said: &[u8]) -> Metering {
    match said.trim_ascii() {
        b"u 1" | b"u 3" => Metering::Metered,
        b"u 2" | b"u 4" => Metering::Free,
        _ => Metering::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_read_as_the_kernel_tells_it() {
        let name = format!("baton-power-{:016x}", rand::random::<u64>());
        let root = std::env::temp_dir().join(name);
        assert_eq!(power_in(&root), Power::Unknown);
        let put = |supply: &str, values: &[(&str, &str)]| {
            let folder = root.join(supply);
            std::fs::create_dir_all(&folder).unwrap();
            for (name, value) in values {
                std::fs::write(folder.join(name), format!("{value}\n")).unwrap();
            }
        };
        put(
            "mouse",
            &[("type", "Battery"), ("scope", "Device"), ("capacity", "3")],
        );
        assert_eq!(power_in(&root), Power::Mains);
        put(
            "BAT0",
            &[
                ("type", "Battery"),
                ("status", "Discharging"),
                ("capacity", "71"),
            ],
        );
        put(
            "BAT1",
            &[
                ("type", "Battery"),
                ("status", "Unknown"),
                ("capacity", "55"),
            ],
        );
        put("AC", &[("type", "Mains"), ("online", "0")]);
        assert_eq!(power_in(&root), Power::Battery(55));
        put("AC", &[("online", "1")]);
        assert_eq!(power_in(&root), Power::Mains);
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_network_manager_s_numbers_are_understood() {
        assert_eq!(metering_of(b"u 1\n"), Metering::Metered);
        assert_eq!(metering_of(b"u 4\n"), Metering::Free);
        assert_eq!(metering_of(b"u 0\n"), Metering::Unknown);
        assert_eq!(metering_of(b""), Metering::Unknown);
    }
}
