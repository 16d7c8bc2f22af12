//! Rules of elections as an operator writes them: `seasoned=5 margin=25 cpu_free=0`; what is not named stays as it was.

use std::str::FromStr;
use std::time::Duration;

use super::ElectionRules;

impl FromStr for ElectionRules {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rules = Self::default();
        for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| format!("{word:?} is no rule: write it as name=number"))?;
            let number: i32 = value
                .parse()
                .map_err(|_| format!("{value:?} in {word:?} is no whole number"))?;
            rules.set(name, number)?;
        }
        Ok(rules)
    }
}

impl ElectionRules {
    fn set(&mut self, name: &str, number: i32) -> Result<(), String> {
        if name == "margin" {
            self.leave_server.0 = number;
            return Ok(());
        }
        let whole = u32::try_from(number).map_err(|_| format!("{name} is not less than 0"))?;
        let seconds = Duration::from_secs(whole.into());
        match name {
            "seasoned" => self.seasoned = seconds,
            "patience" => self.leave_server.1 = seconds,
            "tenure" => self.tenure = seconds,
            "back_off" => self.back_off = seconds,
            "probe_every" => self.probe_every = seconds,
            "retry" => self.retry = seconds,
            "cpu_free" => {
                self.cpu_free_percent = u16::try_from(whole).unwrap_or(u16::MAX);
            }
            "jitter" => self.jitter_us = whole.saturating_mul(1000),
            _ => return Err(format!("there is no rule {name:?}; there are {NAMES}")),
        }
        Ok(())
    }
}

const NAMES: &str =
    "seasoned, margin, patience, tenure, back_off, probe_every, retry, cpu_free and jitter";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_set_and_the_rest_stays() {
        let rules: ElectionRules = "seasoned=5, margin=-20 cpu_free=0".parse().unwrap();
        let usual = ElectionRules::default();
        assert_eq!(rules.seasoned, Duration::from_secs(5));
        assert_eq!(rules.leave_server, (-20, usual.leave_server.1));
        assert_eq!(rules.cpu_free_percent, 0);
        assert_eq!(rules.tenure, usual.tenure);
        for (wrong, word) in [
            ("seasoned", "name=number"),
            ("seasoned=soon", "whole number"),
            ("seasoned=-1", "less than 0"),
            ("season=1", "there is no rule"),
        ] {
            let error = wrong.parse::<ElectionRules>().unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
