//! What runs from where, as people see it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::list::{Listed, ListedCheckout};
use super::steps::Observed;
use crate::error::Result;
use crate::model::topology;
use crate::ui::table::Table;
use crate::ui::{self, format};

/// Those that began together as one row, with a row for each below it.
pub fn show(listed: &[Listed]) -> Result<()> {
    if listed.is_empty() {
        ui::out::note("Everything runs as packaged.");
        return Ok(());
    }
    let mut table = Table::new(["unit", "on", "runs", "pid", "checkout", "at", "since"]);
    let mut said = Vec::new();
    for together in listed
        .chunk_by(|one, next| !one.transaction.is_empty() && one.transaction == next.transaction)
    {
        let [only] = together else {
            for row in rows_of_several(together) {
                table.row(row);
            }
            said.extend(notes_of_several(together));
            continue;
        };
        let (runs, pid) = runs(only.observed);
        let on = topology::label(&only.kind, only.member);
        for row in rows([only.unit.clone(), on, runs.to_owned(), pid], only) {
            table.row(row);
        }
        said.extend(notes(only).into_iter().map(|note| format!("{}: {note}", only.unit)));
    }
    ui::out::text(&table.render())?;
    said.iter().for_each(|note| ui::out::note(note));
    Ok(())
}

/// A swap's row, which begins with these cells, and one for each of its other checkouts.
fn rows(begin: [String; 4], swap: &Listed) -> Vec<Vec<String>> {
    let mut begin = begin.to_vec();
    let mut rows = Vec::new();
    for checkout in &swap.checkouts {
        let mut row = std::mem::replace(&mut begin, vec![String::new(); 4]);
        row.extend([checkout.path.display().to_string(), at(checkout)]);
        rows.push(row);
    }
    if let Some(first) = rows.first_mut() {
        first.push(since(swap.since));
    }
    rows
}

/// One row for all, with their checkouts, then one for each.
fn rows_of_several(together: &[Listed]) -> Vec<Vec<String>> {
    let [first, ..] = together else { return Vec::new() };
    let run = together.iter().filter(|swap| matches!(swap.observed, Observed::Checkout { .. }));
    let runs = match run.count() {
        all if all == together.len() => "checkout".to_owned(),
        some => format!("{some} of {}", together.len()),
    };
    let units = format!("{} units", together.len());
    let mut paths = Vec::new();
    let all = together.iter().flat_map(|swap| &swap.checkouts);
    let checkouts: Vec<ListedCheckout> = all
        .filter(|it| {
            let is_new = !paths.contains(&it.path);
            paths.push(it.path.clone());
            is_new
        })
        .cloned()
        .collect();
    let whole = Listed { checkouts, ..first.clone() };
    let mut all = rows([services(together), units, runs, String::new()], &whole);
    for swap in together {
        let (runs, pid) = self::runs(swap.observed);
        let on = topology::label(&swap.kind, swap.member);
        all.push(vec![format!("  {}", swap.unit), on, runs.to_owned(), pid]);
    }
    all
}

/// `neutron, nova`.
fn services(together: &[Listed]) -> String {
    let mut services: Vec<&str> = together.iter().map(|swap| swap.service.as_str()).collect();
    services.dedup();
    services.join(", ")
}

/// What is said of all is said once.
fn notes_of_several(together: &[Listed]) -> Vec<String> {
    let mut all: Vec<(String, Vec<&str>)> = Vec::new();
    for swap in together {
        for note in notes(swap) {
            match all.iter_mut().find(|(other, _)| *other == note) {
                Some((_, units)) => units.push(&swap.unit),
                None => all.push((note, vec![&swap.unit])),
            }
        }
    }
    let said = |(note, units): (String, Vec<&str>)| match units.len() {
        1 => format!("{}: {note}", units[0]),
        several if several == together.len() => format!("{}: {note}", services(together)),
        _ => format!("{}: {note}", units.join(", ")),
    };
    all.into_iter().map(said).collect()
}

/// What a unit runs, and its process.
fn runs(observed: Observed) -> (&'static str, String) {
    match observed {
        Observed::Checkout { pid } => ("checkout", pid.to_string()),
        Observed::Package { pid } => ("package", pid.to_string()),
        Observed::Nothing => ("nothing", String::new()),
        Observed::Stopped => ("stopped", String::new()),
    }
}

/// `fix/1234 f00dcafe1 dirty`.
fn at(checkout: &ListedCheckout) -> String {
    let branch = checkout.branch.as_deref().unwrap_or("detached");
    let commit = checkout.commit.as_deref().map_or("no commit", |commit| &commit[..9]);
    match checkout.dirty {
        None => "cannot be read".to_owned(),
        Some(true) => format!("{branch} {commit} dirty"),
        Some(false) => format!("{branch} {commit}"),
    }
}

fn since(seconds: u64) -> String {
    let began = UNIX_EPOCH + Duration::from_secs(seconds);
    let ago = SystemTime::now().duration_since(began).unwrap_or_default();
    format!("{} ago", format::duration(Duration::from_secs(ago.as_secs())))
}

fn notes(swap: &Listed) -> Vec<String> {
    let mut notes: Vec<String> = swap.problem.iter().cloned().collect();
    if let Some(pid) = swap.held_by {
        notes.push(format!("ends with the `aio dev` of pid {pid}"));
    }
    if swap.keep {
        notes.push("kept over restarts".to_owned());
    }
    if !swap.standby.is_empty() {
        notes.push(format!("standing by: {}", swap.standby.join(", ")));
    }
    if let Some(dump) = &swap.dump {
        notes.push(format!("its service's databases of before are in {}", dump.display()));
    }
    notes
}
