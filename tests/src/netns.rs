//! Network namespaces: small worlds with their own addresses, made for one test and gone with it.
//!
//! Owns creating, joining by cable (veth) and removing them. What the cable does to packets is [`crate::link`]'s.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Can this process make namespaces? If not, says so where nobody can overlook it.
pub fn are_possible() -> bool {
    let possible = rustix::process::geteuid().is_root() && run("ip", &["netns", "list"]).is_ok();
    if !possible {
        use std::io::Write;
        let words =
            "SKIPPED: network namespaces need root and iproute2 (`apt-get install iproute2`)\n";
        let _ = std::io::stderr().write_all(words.as_bytes());
    }
    possible
}

/// One network namespace with its loopback up. Removed when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace. `label` (a few letters) makes it recognisable; its name is unique on this machine.
    ///
    /// # Errors
    /// When `ip` refuses, for instance without root.
    pub fn new(label: &str) -> Result<Self> {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bt{}-{count}-{label}", std::process::id());
        run("ip", &["netns", "add", &name])?;
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// One that somebody else has made and will remove.
    pub fn known(name: &str) -> std::mem::ManuallyDrop<Self> {
        std::mem::ManuallyDrop::new(Self {
            name: name.to_owned(),
        })
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs inside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs `ip` with these words inside.
    ///
    /// # Errors
    /// With the words and what `ip` said.
    pub fn ip(&self, words: &[&str]) -> Result<Output> {
        run("ip", &[&["-n", &self.name], words].concat())
    }

    /// Gives nftables rules (the text of an nft file) to the namespace; rules that were there stay.
    ///
    /// # Errors
    /// With what `nft` said.
    pub fn firewall(&self, rules: &str) -> Result<()> {
        run("ip", &["netns", "exec", &self.name, "nft", rules]).map(drop)
    }

    /// Runs `work` on a thread of its own that lives in the namespace. Sockets made there stay there.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let place =
            File::open(format!("/run/netns/{}", self.name)).context("open the namespace")?;
        std::thread::scope(|scope| {
            let visitor = scope.spawn(|| {
                move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(work())
            });
            match visitor.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Lays a cable to `other`. Addresses with their prefix length: `("10.1.0.1/24", "10.1.0.2/24")`.
    /// The interface is called `cable` on both sides.
    ///
    /// # Errors
    /// With what `ip` said.
    pub fn cable(&self, other: &Self, addresses: (&str, &str)) -> Result<()> {
        let add = [
            "link",
            "add",
            "cable",
            "netns",
            &self.name,
            "type",
            "veth",
            "peer",
            "name",
            "cable",
            "netns",
            &other.name,
        ];
        run("ip", &add)?;
        for (side, address) in [(self, addresses.0), (other, addresses.1)] {
            side.ip(&["addr", "add", address, "dev", "cable"])?;
            side.ip(&["link", "set", "cable", "up"])?;
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = run("ip", &["netns", "del", &self.name]);
    }
}

/// Runs a program to its end.
fn run(program: &str, words: &[&str]) -> Result<Output> {
    let output = Command::new(program)
        .args(words)
        .output()
        .with_context(|| format!("start {program}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} {}: {}",
        words.join(" "),
        complaint.trim()
    );
    Ok(output)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    #[test]
    fn two_namespaces_on_a_cable_hear_each_other_and_leave_nothing_behind() {
        if !are_possible() {
            return;
        }
        let (left, right) = (Namespace::new("l").unwrap(), Namespace::new("r").unwrap());
        left.cable(&right, ("10.77.0.1/24", "10.77.0.2/24"))
            .unwrap();
        let listener = right
            .enter(|| UdpSocket::bind("10.77.0.2:0").unwrap())
            .unwrap();
        listener
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let there = listener.local_addr().unwrap();
        left.enter(|| {
            UdpSocket::bind("10.77.0.1:0")
                .unwrap()
                .send_to(b"hello", there)
                .unwrap()
        })
        .unwrap();
        let mut heard = [0; 16];
        let (size, from) = listener.recv_from(&mut heard).unwrap();
        assert_eq!(
            (&heard[..size], from.ip().to_string().as_str()),
            (&b"hello"[..], "10.77.0.1")
        );

        let name = left.name().to_owned();
        drop(left);
        assert!(!std::path::Path::new("/run/netns").join(name).exists());
    }
}
