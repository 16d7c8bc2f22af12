//! `baton.toml`: every key with its line, all mistakes at once.

use baton_protocol::IceServer;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::config::{Problem, Value};
use super::settings::{SETTINGS, Setting, closest};

/// One key of the file.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) setting: &'static Setting,
    pub(crate) value: Value,
    /// File and line.
    pub(crate) origin: String,
}

/// Reads the text of a configuration file called `name`.
pub(crate) fn read(name: &str, text: &str) -> (Vec<Entry>, Vec<Problem>) {
    let origin = |at: usize| format!("{name} line {}", line(text, at));
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<_> = errors
        .iter()
        .map(|error| {
            let at = error.span().map_or(0, |span| span.start);
            Problem {
                origin: origin(at),
                message: error.message().to_owned(),
            }
        })
        .collect();
    let mut entries = Vec::new();
    for (key, value) in table.into_inner() {
        let origin = origin(key.span().start);
        let Some(setting) = Setting::named(key.get_ref()) else {
            let message = unknown(key.get_ref());
            problems.push(Problem { origin, message });
            continue;
        };
        match convert(setting, value) {
            Ok(value) => entries.push(Entry {
                setting,
                value,
                origin,
            }),
            Err(message) => problems.push(Problem { origin, message }),
        }
    }
    (entries, problems)
}

fn unknown(key: &str) -> String {
    match closest(key, SETTINGS.iter().map(|setting| setting.key)) {
        Some(meant) => format!("there is no setting `{key}`; did you mean `{meant}`?"),
        None => format!("there is no setting `{key}`; `baton config` shows all"),
    }
}

fn convert(setting: &Setting, value: Spanned<DeValue<'_>>) -> Result<Value, String> {
    let key = setting.key;
    match value.into_inner() {
        DeValue::String(text) => Ok(Value::Text(text.into_owned())),
        DeValue::Integer(number) => Ok(Value::Text(number.to_string())),
        DeValue::Array(items) if key == "ice_servers" => {
            let servers = items.into_iter().map(ice_server);
            servers.collect::<Result<_, _>>().map(Value::IceServers)
        }
        DeValue::Array(items) => {
            let texts = items.into_iter().map(|item| match item.into_inner() {
                DeValue::String(text) => Ok(text.into_owned()),
                DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => Err(format!(
                    "`{key}` is a list of texts, as {key} = [\"..\", \"..\"]"
                )),
            });
            texts.collect::<Result<_, _>>().map(Value::List)
        }
        DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
            Err(format!("`{key}` is a text, as {key} = \"..\""))
        }
    }
}

fn ice_server(item: Spanned<DeValue<'_>>) -> Result<IceServer, String> {
    if let DeValue::String(url) = item.get_ref() {
        let urls = vec![url.to_string()];
        return Ok(IceServer {
            urls,
            username: None,
            credential: None,
        });
    }
    IceServer::deserialize(toml::de::ValueDeserializer::from(item)).map_err(|error| {
        format!(
            "an entry of `ice_servers` is a text or {{ urls = [\"turn:..\"], username = \"..\", credential = \"..\" }}: {}",
            error.message()
        )
    })
}

fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        read("baton.toml", text)
            .1
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "http = \"127.0.0.1:1\"\nsecert = \"x\"\n\nworkers = [1]\nadmin = true\n";
        let expected = [
            "baton.toml line 2: there is no setting `secert`; did you mean `secret`?",
            "baton.toml line 4: `workers` is a list of texts, as workers = [\"..\", \"..\"]",
            "baton.toml line 5: `admin` is a text, as admin = \"..\"",
        ];
        let mut told = problems(text);
        told.sort();
        assert_eq!(told, expected);
    }

    #[test]
    fn text_that_is_not_toml_is_told_with_its_line() {
        let told = problems("http = \"127.0.0.1:1\"\nmedia = = 3\n");
        assert!(told[0].starts_with("baton.toml line 2: "), "{told:?}");
    }

    #[test]
    fn ice_servers_are_texts_or_tables() {
        let text = "ice_servers = [\"stun:a\", { urls = [\"turn:b\"], username = \"u\", credential = \"c\" }]";
        let (entries, problems) = read("baton.toml", text);
        assert!(problems.is_empty(), "{problems:?}");
        let Value::IceServers(servers) = &entries[0].value else {
            panic!("{entries:?}");
        };
        assert_eq!(servers[1].username.as_deref(), Some("u"));
        assert_eq!(servers[0].urls, ["stun:a"]);
    }
}
