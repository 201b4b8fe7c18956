//! The table of `aio plan`.

use crate::engine::event::Outcome;
use crate::engine::report::Report;
use crate::ui::table::Table;

/// Steps that would act, with their reasons; then how many are right already.
pub fn render(report: &Report) -> String {
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
    let summary = format!("{pending} to do, {right} right already\n");
    if pending == 0 { summary } else { format!("{}\n{summary}", table.render()) }
}
