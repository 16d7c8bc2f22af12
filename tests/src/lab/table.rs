//! The table of `docs/lines.md`: what was expected, and what each world measured.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Figure, Measured};

/// Where a scenario is played.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum World {
    /// Simulated time.
    #[default]
    Simulator,
    /// Real packets, behind whose bad line a Chromium sits.
    Chromium,
    /// A Firefox sits there.
    Firefox,
}

/// What one world measured in one scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Name of the scenario.
    pub scenario: String,
    /// Where.
    pub world: World,
    /// What.
    pub figures: Vec<Measured>,
    /// It could not be played to its end, because of this.
    #[serde(default)]
    pub failed: Option<String>,
}

const WORLDS: [World; 3] = [World::Simulator, World::Chromium, World::Firefox];

/// All figures of all `scenarios` (name, sentence, figures), in Markdown.
pub fn table(scenarios: &[(String, super::Scenario)], rows: &[Row]) -> String {
    let mut text = String::from(
        "| scenario | figure | bound | simulator | Chromium | Firefox |\n|---|---|---|---|---|---|\n",
    );
    for (name, scenario) in scenarios {
        for (at, figure) in scenario.figures.iter().enumerate() {
            let title = if at == 0 { name.as_str() } else { "" };
            write!(text, "| {title} | {} | {} |", figure.name, bound(figure))
                .expect("a String takes everything");
            for world in WORLDS {
                let row = rows
                    .iter()
                    .find(|row| row.world == world && row.scenario == *name);
                write!(text, " {} |", cell(figure, row)).expect("a String takes everything");
            }
            text.push('\n');
        }
    }
    text
}

fn bound(figure: &Figure) -> String {
    match (figure.least, figure.most) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("≥ {least}"),
        (None, Some(most)) => format!("≤ {most}"),
        (None, None) => String::new(),
    }
}

fn cell(figure: &Figure, row: Option<&Row>) -> String {
    let Some(row) = row else {
        return "–".to_owned();
    };
    if row.failed.is_some() {
        return "**failed**".to_owned();
    }
    let same = |one: &&Measured| one.figure.name == figure.name && one.figure.who == figure.who;
    let Some(measured) = row.figures.iter().find(same) else {
        return "–".to_owned();
    };
    let Some(value) = measured.value else {
        return "**never**".to_owned();
    };
    let shown = if value.abs() >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    };
    if measured.holds() {
        shown
    } else {
        format!("**{shown}**")
    }
}
