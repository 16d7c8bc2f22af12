//! `baton-client agent`: somebody's computer in a call in which they sit at the page.

use baton_client::view::Size;
use baton_client::{Call, Plan};

use super::Outcome;
use super::cli::Agent;
use super::join::attend;
use super::report::Shape;

/// Joins without media and stays; carries the call if that is allowed.
pub(super) async fn until_over(agent: &Agent, shape: Shape) -> anyhow::Result<Outcome> {
    let call = Call::join(Plan {
        name: format!("{}'s computer", agent.owner),
        computer: agent.entry.hosting.computer_of(&agent.owner),
        owner: Some(agent.owner.clone()),
        watch: Size {
            width: 1,
            height: 1,
        },
        ..agent.entry.plan()?
    });
    attend(call, agent.entry.seconds, shape, None).await
}
