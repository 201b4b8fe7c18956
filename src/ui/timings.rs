//! `--timings`: a run as a web page in one file, with nothing to load: every step on a time line by
//! resource, the chain that decided how long it took marked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::format;
use crate::engine::event::{Outcome, Resource};
use crate::engine::key::StepKey;
use crate::engine::report::{Report, Span, StepReport};
use crate::error::Result;
use crate::state::files;

/// A wait for a slot that is shorter is no wait.
const WAIT: Duration = Duration::from_millis(2);

/// How many of the longest steps are listed.
const LISTED: usize = 25;

const STYLE: &str = include_str!("timings.css");

pub fn write(path: &Path, report: &Report) -> Result<()> {
    files::write(path, html(report))
}

pub fn html(report: &Report) -> String {
    let critical = critical_path(&report.steps);
    let title = escape(&format::summary(&report.summary));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n<h1>{title}</h1>\n\
         <p>Light: looking, or waiting for a slot. Full: acting. Outlined: the chain of steps that \
         decided how long the run took. Point at a step for more.</p>\n"
    );
    let whole = report.summary.elapsed.max(Duration::from_millis(1));
    axis(&mut page, whole);
    for (resource, lanes) in lanes(&report.steps) {
        let _ = writeln!(page, "<h2>{}</h2>\n<div class=\"lanes\">", name(resource));
        for lane in lanes {
            page.push_str("<div class=\"lane\">");
            for step in lane {
                bar(&mut page, step, whole, critical.contains(&step.key));
            }
            page.push_str("</div>\n");
        }
        page.push_str("</div>\n");
    }
    longest(&mut page, report, &critical);
    page.push_str("</html>\n");
    page
}

/// Returns when a step was looked at first and when it ended; none for one that was not begun.
fn extent(step: &StepReport) -> Option<Span> {
    let from = step.observed?.from;
    let to = step.acted.or(step.observed)?.to;
    Some(Span { from, to })
}

/// Goes back from the step that ended last: what held it up is the step that freed its slot if it
/// waited for one, otherwise the need that ended last.
fn critical_path(steps: &[StepReport]) -> BTreeSet<StepKey> {
    let by_key: BTreeMap<&StepKey, &StepReport> =
        steps.iter().map(|step| (&step.key, step)).collect();
    let end = |step: &StepReport| extent(step).map(|extent| extent.to);
    let mut path = BTreeSet::new();
    let mut here = steps.iter().filter(|step| extent(step).is_some()).max_by_key(|step| end(step));
    while let Some(step) = here {
        if !path.insert(step.key.clone()) {
            break;
        }
        let needs = step.needs.iter().filter_map(|need| by_key.get(need).copied());
        here = freed_slot(step, steps)
            .or_else(|| needs.filter(|need| end(need).is_some()).max_by_key(|need| end(need)));
    }
    path
}

/// The step of the same resource whose end let this one begin to act, if it had to wait.
fn freed_slot<'a>(step: &StepReport, steps: &'a [StepReport]) -> Option<&'a StepReport> {
    let (observed, acted) = (step.observed?, step.acted?);
    if acted.from.saturating_sub(observed.to) < WAIT {
        return None;
    }
    steps
        .iter()
        .filter(|other| other.resource == step.resource && other.key != step.key)
        .filter_map(|other| Some((other.acted?.to, other)))
        .filter(|(end, _)| *end <= acted.from && *end > observed.to)
        .max_by_key(|(end, _)| *end)
        .map(|(_, other)| other)
}

/// Steps that were begun by resource, packed into as few rows as they need.
fn lanes(steps: &[StepReport]) -> BTreeMap<Resource, Vec<Vec<&StepReport>>> {
    let mut begun: Vec<(Span, &StepReport)> =
        steps.iter().filter_map(|step| Some((extent(step)?, step))).collect();
    begun.sort_by_key(|(extent, _)| extent.from);
    let mut lanes: BTreeMap<Resource, Vec<Vec<&StepReport>>> = BTreeMap::new();
    for (span, step) in begun {
        let rows = lanes.entry(step.resource).or_default();
        let is_free = |row: &&mut Vec<&StepReport>| {
            row.last().and_then(|last| extent(last)).is_none_or(|last| last.to <= span.from)
        };
        match rows.iter_mut().find(is_free) {
            Some(row) => row.push(step),
            None => rows.push(vec![step]),
        }
    }
    lanes
}

fn percent(part: Duration, whole: Duration) -> f64 {
    100.0 * part.as_secs_f64() / whole.as_secs_f64()
}

fn bar(page: &mut String, step: &StepReport, whole: Duration, is_critical: bool) {
    let Some(extent) = extent(step) else { return };
    let mut classes = vec!["step", class(&step.outcome)];
    if is_critical {
        classes.push("critical");
    }
    let _ = write!(
        page,
        "<div class=\"{}\" style=\"left:{:.3}%;width:{:.3}%\" title=\"{}\">",
        classes.join(" "),
        percent(extent.from, whole),
        percent(extent.length(), whole),
        escape(&hover(step)),
    );
    if let Some(acted) = step.acted {
        let length = extent.length().max(Duration::from_micros(1));
        let _ = write!(
            page,
            "<i style=\"left:{:.3}%;width:{:.3}%\"></i>",
            percent(acted.from.saturating_sub(extent.from), length),
            percent(acted.length(), length),
        );
        let _ = write!(page, "<span>{}</span>", escape(&step.title));
    }
    page.push_str("</div>");
}

fn hover(step: &StepReport) -> String {
    let mut text = format!("{}\n{}\n{}", step.title, step.key, format::outcome(&step.outcome));
    if let Some(reason) = &step.acted_because {
        let _ = write!(text, "\nbecause {reason}");
    }
    for (what, span) in [("looked", step.observed), ("acted", step.acted)] {
        if let Some(span) = span {
            let (from, took) = (span.from.as_secs_f64(), span.length().as_secs_f64());
            let _ = write!(text, "\n{what} at {from:.3} s for {took:.3} s");
        }
    }
    text
}

fn class(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Failed { .. } | Outcome::Cancelled => "failed",
        _ => "well",
    }
}

fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::Light => "Light steps",
        Resource::Package => "Package work",
        Resource::Download => "Downloads",
        Resource::Start => "Container starts",
        Resource::Load => "Processes that load",
    }
}

/// Up to ten marks, at 1, 2 or 5 times a power of ten. One at the very end would stand outside.
fn axis(page: &mut String, whole: Duration) {
    let seconds = whole.as_secs_f64();
    let rough = seconds / 10.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    page.push_str("<div class=\"axis\">");
    let mut at = 0.0;
    while at <= 0.96 * seconds {
        let left = 100.0 * at / seconds;
        let digits = if step < 1.0 { 2 } else { 0 };
        let _ = write!(page, "<b style=\"left:{left:.3}%\">{at:.digits$} s</b>");
        at += step;
    }
    page.push_str("</div>\n");
}

fn longest(page: &mut String, report: &Report, critical: &BTreeSet<StepKey>) {
    let mut acted: Vec<(&StepReport, Span)> =
        report.steps.iter().filter_map(|step| Some((step, step.acted?))).collect();
    acted.sort_by_key(|(_, span)| std::cmp::Reverse(span.length()));
    if acted.is_empty() {
        return;
    }
    page.push_str("<h2>Longest</h2>\n<table><tr><th>seconds<th>begun at<th>step<th>why</tr>\n");
    for (step, span) in acted.into_iter().take(LISTED) {
        let mark = if critical.contains(&step.key) { " class=\"critical\"" } else { "" };
        let reason = step.acted_because.as_deref().unwrap_or_default();
        let _ = writeln!(
            page,
            "<tr{mark}><td>{:.2}<td>{:.2}<td>{}<td>{}</tr>",
            span.length().as_secs_f64(),
            span.from.as_secs_f64(),
            escape(&step.title),
            escape(reason),
        );
    }
    page.push_str("</table>\n");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::engine::event::{Phase, Summary};

    fn step(
        key: &str,
        needs: &[&str],
        observed: (u64, u64),
        acted: Option<(u64, u64)>,
    ) -> StepReport {
        let span =
            |(from, to)| Span { from: Duration::from_millis(from), to: Duration::from_millis(to) };
        StepReport {
            key: StepKey::new(key),
            title: format!("make <{key}>"),
            phase: Phase::Images,
            resource: Resource::Package,
            needs: needs.iter().map(|need| StepKey::new(*need)).collect(),
            outcome: Outcome::Changed,
            acted_because: Some("it is \"absent\"".to_owned()),
            observed: Some(span(observed)),
            acted: acted.map(span),
            error: None,
        }
    }

    /// One slot: `b` waits until `a` has freed it; `c` follows `b`; `d` decides nothing.
    fn report() -> Report {
        let mut not_run = step("e", &["d"], (0, 0), None);
        not_run.observed = None;
        let steps = vec![
            step("a", &[], (0, 1), Some((1, 500))),
            step("b", &[], (0, 1), Some((500, 800))),
            step("c", &["b", "d"], (800, 801), Some((801, 1000))),
            step("d", &[], (0, 2), None),
            not_run,
        ];
        Report {
            summary: Summary {
                command: "bootstrap".to_owned(),
                elapsed: Duration::from_secs(1),
                ..Summary::default()
            },
            started: SystemTime::UNIX_EPOCH,
            warnings: Vec::new(),
            steps,
        }
    }

    #[test]
    fn the_critical_path_goes_through_needs_and_slots() {
        let path: Vec<String> =
            critical_path(&report().steps).into_iter().map(|key| key.to_string()).collect();
        assert_eq!(path, ["a", "b", "c"]);
    }

    #[test]
    fn steps_of_one_row_do_not_overlap() {
        let report = report();
        let lanes = lanes(&report.steps);
        let rows: Vec<Vec<String>> = lanes[&Resource::Package]
            .iter()
            .map(|row| row.iter().map(|step| step.key.to_string()).collect())
            .collect();
        assert_eq!(rows, [vec!["a", "c"], vec!["b"], vec!["d"]]);
    }

    #[test]
    fn the_page_loads_nothing_and_escapes_what_it_shows() {
        let page = html(&report());
        for foreign in ["http:", "https:", "src=", "href=", "url(", "@import", "<script"] {
            assert!(!page.contains(foreign), "{foreign} in the page");
        }
        assert!(page.contains("make &lt;a&gt;") && !page.contains("make <a>"));
        assert!(page.contains("because it is &quot;absent&quot;"));
        assert_eq!(page.matches("class=\"step well critical\"").count(), 3);
        // `b` was looked at from the start and ended at 0.8 of 1 s; it acted from 0.5 s on.
        assert!(page.contains("style=\"left:0.000%;width:80.000%\""));
        assert!(page.contains("<i style=\"left:62.500%;width:37.500%\">"));
        let axis = page.lines().find(|line| line.contains("class=\"axis\"")).unwrap();
        assert!(axis.contains("<b style=\"left:90.000%\">0.90 s</b></div>"), "{axis}");
    }
}
