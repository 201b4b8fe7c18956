//! The table of `aio plan`.

use super::run::Planned;
use crate::engine::event::Outcome;
use crate::ui::table::Table;

/// Which cloud; steps that would act, with their reasons; then how many are right already.
pub fn render(planned: &Planned) -> String {
    let Planned { cloud, release, scenario, report } = planned;
    let mut table = Table::new(["step", "what", "why"]);
    let mut right = 0;
    for step in &report.steps {
        match &step.outcome {
            Outcome::Pending { reason } => {
                table.row([step.key.to_string(), step.title.clone(), reason.clone()]);
            }
            Outcome::Failed { error, .. } => {
                table.row([
                    step.key.to_string(),
                    step.title.clone(),
                    format!("cannot tell: {error}"),
                ]);
            }
            _ => right += 1,
        }
    }
    let pending = report.steps.len() - right;
    let head = format!("cloud {cloud}, OpenStack {release}, scenario {scenario}\n\n");
    let steps = if pending == 0 { String::new() } else { table.render() + "\n" };
    format!("{head}{steps}{pending} to do, {right} right already\n")
}
