//! What people and programs are told when everything listens.

use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;

use super::config::{Config, TlsMode};

/// The addresses in use, with the ports that were chosen. One JSON line with `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "ready")]
pub(crate) struct Ready {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) media: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

impl Ready {
    pub(crate) fn tell(&self, config: &Config, is_for_programs: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let text = match is_for_programs {
            true => serde_json::to_string(self).map_err(io::Error::other)? + "\n",
            false => self.banner(config),
        };
        io::Write::write_all(&mut out, text.as_bytes())?;
        io::Write::flush(&mut out)
    }

    fn banner(&self, config: &Config) -> String {
        let mut text = String::from("\n  Baton is ready.\n\n");
        // Writing to a String cannot fail.
        let _ = self.write_banner(config, &mut text);
        text
    }

    fn write_banner(&self, config: &Config, text: &mut String) -> std::fmt::Result {
        if let Some(http) = &self.http {
            writeln!(text, "  Open        {http}")?;
        }
        if let Some(media) = &self.media {
            let ways = if config.media_tcp {
                "UDP, and TCP where there is no UDP"
            } else {
                "UDP"
            };
            writeln!(text, "  Media       {media} ({ways})")?;
        }
        writeln!(text, "  Admin       http://{}/metrics", self.admin)?;
        if self.http.is_some() {
            writeln!(text)?;
            match &config.secret {
                None => writeln!(
                    text,
                    "  Only this computer can reach it, and anybody on it may join.\n  To go public: baton --help"
                )?,
                Some(_) => writeln!(
                    text,
                    "  Who joins needs an invitation: baton token --room daily --name Ana\n  It goes into the link: /r/daily?token=..."
                )?,
            }
        }
        if config.tls == TlsMode::SelfSigned {
            writeln!(
                text,
                "\n  The certificate was made for this start: browsers warn once that they do not know it.\n  Go on by \"Advanced\"; iPhones refuse it, they need tls = \"files\"."
            )?;
        } else if self
            .http
            .as_ref()
            .is_some_and(|http| http.starts_with("http:"))
            && !config.http.ip().is_loopback()
        {
            writeln!(
                text,
                "\n  Without HTTPS browsers refuse camera and microphone from other computers:\n  set tls, or put a proxy with HTTPS in front."
            )?;
        }
        writeln!(text)
    }
}

/// An address somebody on this computer can open.
pub(crate) fn url(is_secure: bool, bound: SocketAddr) -> String {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    let scheme = if is_secure { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, bound.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Ready {
        Ready {
            http: Some("http://127.0.0.1:7880".to_owned()),
            media: Some(SocketAddr::from(([127, 0, 0, 1], 7881))),
            admin: SocketAddr::from(([127, 0, 0, 1], 7882)),
        }
    }

    #[test]
    fn programs_are_told_in_one_line_of_json() {
        let line = serde_json::to_string(&ready()).unwrap();
        let expected = r#"{"event":"ready","http":"http://127.0.0.1:7880","media":"127.0.0.1:7881","admin":"127.0.0.1:7882"}"#;
        assert_eq!(line, expected);
    }

    #[test]
    fn people_get_the_link_and_what_the_browser_will_warn_about() {
        let mut config = Config::default();
        assert!(
            ready()
                .banner(&config)
                .contains("Open        http://127.0.0.1:7880\n")
        );
        config.tls = TlsMode::SelfSigned;
        assert!(ready().banner(&config).contains("browsers warn"));
    }

    #[test]
    fn every_address_is_shown_as_one_that_can_be_opened() {
        assert_eq!(
            url(false, SocketAddr::from(([0, 0, 0, 0], 80))),
            "http://127.0.0.1:80"
        );
        assert_eq!(url(true, "[::]:443".parse().unwrap()), "https://[::1]:443");
    }
}
