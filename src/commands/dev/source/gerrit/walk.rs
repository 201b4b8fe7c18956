//! From a change to all that it needs.

use std::collections::BTreeSet;

use super::answers::{ChangeInfo, CommitInfo, RelatedChange, Status, shown};
use super::footers::{self, Footer};
use super::needed::{Below, Needed, Why, unusable};
use super::server::{Server, refuse_when};
use crate::commands::dev::source::change::Change;
use crate::error::{Error, Result};

/// How many changes are looked at.
const MOST_CHANGES: usize = 100;

/// The changes that one needs, itself first, and sentences about those that are left out.
pub fn walk(
    server: &Server,
    project: &str,
    change: Change,
    cancelled: &dyn Fn() -> bool,
) -> Result<(Vec<Needed>, Vec<String>)> {
    let mut walk = Walk {
        server,
        cancelled,
        asked: change,
        found: Vec::new(),
        notes: Vec::new(),
        left_out: BTreeSet::new(),
        way: Vec::new(),
        looked_at: 0,
    };
    let info = walk.look_up(change.number)?.ok_or_else(|| missing(server, change))?;
    if info.project != project {
        return Err(unusable(change)
            .because(format!("it is one of {}, not of {project}", info.project))
            .hint(format!("Give its own project: --from {}", server.clone_url(&info.project))));
    }
    match info.status {
        Status::New => {}
        Status::Abandoned => walk.note(format!("{} is abandoned.", change.number)),
        Status::Merged => walk.note(format!("{} is merged.", change.number)),
    }
    walk.take(info, Why::Asked)?;
    Ok((walk.found, walk.notes))
}

fn missing(server: &Server, change: Change) -> Error {
    unusable(change).because(format!(
        "{} has no such change or patch set, or does not show it to everybody",
        server.base()
    ))
}

struct Walk<'a> {
    server: &'a Server,
    cancelled: &'a dyn Fn() -> bool,
    asked: Change,
    found: Vec<Needed>,
    notes: Vec<String>,
    /// Those that are merged.
    left_out: BTreeSet<u32>,
    /// The changes whose footers led here.
    way: Vec<u32>,
    looked_at: usize,
}

/// Who has a footer.
struct Holder {
    number: u32,
    project: String,
    branch: String,
    /// The changes above it in its stack, and those below, itself the first of them.
    above: Vec<u32>,
    below: Vec<u32>,
}

impl Walk<'_> {
    fn look_up(&mut self, number: u32) -> Result<Option<ChangeInfo>> {
        self.count()?;
        self.server.change(number)
    }

    fn count(&mut self) -> Result<()> {
        refuse_when(self.cancelled)?;
        self.looked_at += 1;
        if self.looked_at > MOST_CHANGES {
            return Err(unusable(self.asked)
                .because(format!("it depends on more than {MOST_CHANGES} changes")));
        }
        Ok(())
    }

    /// Adds a change that nobody met before, and what it needs.
    fn take(&mut self, info: ChangeInfo, why: Why) -> Result<()> {
        let number = info.number.get();
        let newest = info.newest().unwrap_or(1);
        let asked = self.asked.patch_set.filter(|_| why == Why::Asked);
        let patch_set = asked.unwrap_or(newest);
        let change = Change { number, patch_set: Some(patch_set) };
        let commit = self.server.commit(number, patch_set)?;
        let commit = commit.ok_or_else(|| missing(self.server, change))?;
        let stack = stack(&commit, self.server.related(number, patch_set)?.changes);
        let mut messages = vec![(number, commit.message.clone())];
        for lower in stack.iter().filter(|lower| !lower.is_abandoned) {
            messages.push((lower.change.number, self.message(lower.change)?));
        }
        let numbers: Vec<u32> =
            std::iter::once(number).chain(stack.iter().map(|it| it.change.number)).collect();
        self.found.push(Needed {
            from: self.server.clone_url(&info.project),
            project: info.project.clone(),
            change,
            branch: info.branch.clone(),
            subject: subject(&commit),
            why: vec![why],
            below: stack,
        });
        self.way.push(number);
        for (holder, message) in messages {
            let place = numbers.iter().position(|number| *number == holder).unwrap_or_default();
            let holder = Holder {
                number: holder,
                project: info.project.clone(),
                branch: info.branch.clone(),
                above: numbers[..place].to_vec(),
                below: numbers[place..].to_vec(),
            };
            for footer in footers::read(&message, self.server.base()) {
                self.follow(&holder, footer)?;
            }
        }
        self.way.pop();
        Ok(())
    }

    fn message(&mut self, change: Change) -> Result<String> {
        self.count()?;
        let commit = self.server.commit(change.number, change.patch_set.unwrap_or(1))?;
        commit.map(|commit| commit.message).ok_or_else(|| missing(self.server, change))
    }

    fn follow(&mut self, holder: &Holder, footer: Footer) -> Result<()> {
        match footer {
            Footer::Number(number) => self.need(holder, number, None),
            Footer::Id(id) => self.need_all(holder, &id),
            Footer::Elsewhere(url) => Err(unusable(self.asked).because(format!(
                "{} says `Depends-On: {url}`, which cannot be followed: it is no change at {}",
                holder.number,
                self.server.base()
            ))),
            Footer::Unclear(text) => {
                let number = holder.number;
                self.note(format!("{number} says `Depends-On: {text}`, which names no change."));
                Ok(())
            }
        }
    }

    /// Adds a change that a footer names, unless it is there already.
    fn need(&mut self, holder: &Holder, number: u32, info: Option<ChangeInfo>) -> Result<()> {
        if holder.below.contains(&number) || self.left_out.contains(&number) {
            return Ok(());
        }
        if holder.above.contains(&number) || self.way.contains(&number) {
            self.note_circle(holder, number);
            return Ok(());
        }
        let why = Why::DependsOn { number: holder.number, project: holder.project.clone() };
        if let Some(known) = self.found.iter_mut().find(|it| it.change.number == number) {
            if !known.why.contains(&why) {
                known.why.push(why);
            }
            return Ok(());
        }
        let info = match info {
            Some(info) => info,
            None => self.look_up(number)?.ok_or_else(|| {
                let change = Change { number, patch_set: None };
                missing(self.server, change).context(format!("follow {why} to {number}"))
            })?,
        };
        match info.status {
            Status::New => self.take(info, why),
            Status::Abandoned => Err(self.abandoned(&info, holder)),
            Status::Merged => {
                self.left_out.insert(number);
                self.note(format!(
                    "{number} ({}) is left out: it is merged into `{}` ({why}).",
                    info.project, info.branch
                ));
                Ok(())
            }
        }
    }

    /// Adds all open changes with a Change-Id: those of the same branch where there are such.
    fn need_all(&mut self, holder: &Holder, id: &str) -> Result<()> {
        self.count()?;
        let all = self.server.changes_of_id(id)?;
        let is_near = |change: &ChangeInfo| change.branch == holder.branch;
        let any_near = all.iter().any(is_near);
        let mut near: Vec<ChangeInfo> =
            all.into_iter().filter(|change| !any_near || is_near(change)).collect();
        if near.iter().any(|change| change.status != Status::Abandoned) {
            near.retain(|change| change.status != Status::Abandoned);
        }
        if near.is_empty() {
            return Err(unusable(self.asked).because(format!(
                "{} says `Depends-On: {id}`, and {} shows no such change to everybody",
                holder.number,
                self.server.base()
            )));
        }
        for change in near {
            self.need(holder, change.number.get(), Some(change))?;
        }
        Ok(())
    }

    fn abandoned(&self, change: &ChangeInfo, holder: &Holder) -> Error {
        let (number, project) = (change.number, &change.project);
        unusable(self.asked).because(format!(
            "{} depends on {number} ({project}), which is abandoned",
            holder.number
        ))
    }

    fn note_circle(&mut self, holder: &Holder, number: u32) {
        let start = self.way.iter().position(|it| *it == number).unwrap_or_default();
        let mut circle: Vec<u32> = self.way[start..].to_vec();
        if holder.above.contains(&number) {
            circle = vec![number];
        }
        if circle.last() != Some(&holder.number) {
            circle.push(holder.number);
        }
        circle.push(number);
        let circle: Vec<String> = circle.iter().map(u32::to_string).collect();
        self.note(format!("These depend on one another: {}.", circle.join(" → ")));
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// The changes below a commit, down to what is on a branch.
fn stack(top: &CommitInfo, mut related: Vec<RelatedChange>) -> Vec<Below> {
    let mut below = Vec::new();
    let parents = |commit: &CommitInfo| -> Vec<String> {
        commit.parents.iter().rev().map(|parent| parent.commit.clone()).collect()
    };
    related.retain(|it| it.commit.commit != top.commit);
    let mut pending = parents(top);
    while let Some(commit) = pending.pop() {
        // Each once: what a server says may go round in a circle.
        let Some(place) = related.iter().position(|it| it.commit.commit == commit) else {
            continue;
        };
        let lower = related.swap_remove(place);
        let (Some(number), Some(patch_set)) = (lower.number, lower.patch_set) else { continue };
        if lower.status == Status::Merged {
            continue;
        }
        pending.extend(parents(&lower.commit));
        below.push(Below {
            change: Change { number: number.get(), patch_set: Some(patch_set.get()) },
            newest: lower.newest.unwrap_or(patch_set).get(),
            subject: subject(&lower.commit),
            is_abandoned: lower.status == Status::Abandoned,
            why: Vec::new(),
        });
    }
    below
}

/// The first line of a commit's message.
fn subject(commit: &CommitInfo) -> String {
    let first = commit.message.lines().next().unwrap_or_default();
    shown(if commit.subject.is_empty() { first } else { &commit.subject })
}
