//! Where every line of a rendered file came from: `aio config NAME FILE --why`.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::config::origin::Origin;
use crate::config::oslo::{Line, LineSource};
use crate::config::profile::{File, Merge};
use crate::error::Result;
use crate::model::topology::Container;

use super::context::NAMES;
use super::functions::is_function;
use super::renderer::{Renderer, environment};
use super::trace::{self, Names, Traced, Written};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedLine {
    /// The line; `<secret NAME>` stands for a secret's value.
    pub text: String,
    /// Where it came from, the place that wrote it first.
    pub reasons: Vec<Reason>,
}

/// One thing that made a line what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reason {
    /// The name by which a template used it: `variables.debug`.
    pub name: Option<String>,
    #[serde(flatten)]
    pub origin: Origin,
}

impl Reason {
    fn place(origin: Origin) -> Self {
        Self { name: None, origin }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "{name}: {}", self.origin),
            None => self.origin.fmt(formatter),
        }
    }
}

impl Renderer {
    /// Explains a file of a container, line by line. No secret's value is in the answer.
    pub fn explain(&self, container: &Container, file: &File) -> Result<Vec<ExplainedLine>> {
        let templates = self.templates.values().enumerate();
        let traced: Vec<Traced> =
            templates.map(|(number, template)| trace::trace(&template.text, number)).collect();
        let plain = self.masked_text(container, file, None, |_, text| text)?;
        let services = self.marked_services(traced.len());
        let marked =
            self.masked_text(container, file, Some(&services), |number, _| &traced[number].text);
        let lines = marked.map(|text| trace::read(&text)).unwrap_or_default();
        // A template may do anything to a text, to its marks too: then less is known.
        let unharmed = lines.iter().map(|line| line.text.as_str()).eq(plain.lines());
        let reasons = if unharmed {
            self.reasons_of(container, &lines, &traced)
        } else {
            self.reasons_without_lines(file, &plain)
        };
        let whole =
            |text: &str, reasons: Vec<Reason>| ExplainedLine { text: text.to_owned(), reasons };
        if file.merge == Merge::None {
            return Ok(plain.lines().zip(reasons).map(|(line, why)| whole(line, why)).collect());
        }
        let merged = self.merge(container, file, &plain)?;
        Ok(merged.lines().map(|line| whole(&line.text, merged_reasons(line, &reasons))).collect())
    }

    /// What the template makes, with placeholders for secrets, when every template's text is what
    /// `text_of` makes of its number and text. `names` are put over those that templates see.
    fn masked_text<'a>(
        &'a self,
        container: &Container,
        file: &File,
        names: Option<&serde_json::Value>,
        text_of: impl Fn(usize, &'a str) -> &'a str,
    ) -> Result<String> {
        let unit = self.unit(container, file);
        let context = self.masked.of(container, unit.iter().chain(names));
        let mut environment = environment(&self.masked, true)?;
        let mut render = || {
            for (number, (name, template)) in self.templates.iter().enumerate() {
                let text = text_of(number, &template.text);
                environment.add_template_owned(name.clone(), text.to_owned())?;
            }
            environment.get_template(&file.template)?.render(context.clone())
        };
        render().map_err(|error| {
            let error = self.explain_error(&error, &context, None);
            error.context(format!("render `{}` of container `{}`", file.path, container.name))
        })
    }

    /// The template as a whole is all that is known of each line.
    fn reasons_without_lines(&self, file: &File, text: &str) -> Vec<Vec<Reason>> {
        let place = self.template_place(file);
        let template = Reason::place(Origin::Template { place });
        let of_line = |line| std::iter::once(template.clone()).chain(secrets_in(line)).collect();
        text.lines().map(of_line).collect()
    }

    /// The services with a mark at the end of each line that a frontend gives to templates: those
    /// are written into files as they are. Their numbers follow on `templates`.
    fn marked_services(&self, templates: usize) -> serde_json::Value {
        let mut services = self.services.clone();
        let frontends = services.iter_mut().flat_map(|service| &mut service.frontends);
        for (index, frontend) in frontends.enumerate() {
            let mark = trace::mark(templates + index, 1);
            let options = frontend.options.lines().map(|line| format!("{line}{mark}\n"));
            frontend.options = options.collect();
            frontend.server_options.push_str(&mark);
        }
        serde_json::json!({ "services": services })
    }

    /// Returns where the frontends are defined whose marks follow on those of templates.
    fn profile_places(&self) -> Vec<&str> {
        let frontends = self.services.iter().flat_map(|service| &service.frontends);
        let places = frontends.map(|frontend| self.frontends.get(&frontend.name));
        places.map(|place| place.map(String::as_str).unwrap_or_default()).collect()
    }

    fn reasons_of(
        &self,
        container: &Container,
        lines: &[Written],
        traced: &[Traced],
    ) -> Vec<Vec<Reason>> {
        let profiles = self.profile_places();
        let templates: Vec<_> = self.templates.values().collect();
        let mut reasons = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            let mut found = Vec::new();
            for (source, number) in marks_for(lines, index) {
                if let Some(place) = source.checked_sub(traced.len()) {
                    let place = profiles.get(place).map(|place| (*place).to_owned());
                    found.extend(place.map(|place| Reason::place(Origin::Profile { place })));
                    continue;
                }
                let (Some(template), Some(traced)) = (templates.get(*source), traced.get(*source))
                else {
                    continue;
                };
                let place = format!("{}:{number}", template.shown);
                found.push(Reason::place(Origin::Template { place }));
                if let Some(names) = traced.names.get(number - 1) {
                    found.extend(self.reasons_of_names(container, names));
                }
            }
            found.extend(secrets_in(&line.text));
            reasons.push(distinct(found));
        }
        reasons
    }

    fn reasons_of_names(&self, container: &Container, names: &Names) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = names.iter().filter_map(|name| self.reason(name)).collect();
        // A template that looks up a service by its container reads that service's profile.
        if names.contains("services") && names.contains("container.service") {
            let profile = self.service_places.get(&container.service).cloned();
            let origin = profile.map(|place| Origin::Profile { place });
            let service = Origin::Topology { name: "services".to_owned() };
            reasons.retain(|reason| reason.origin != service);
            reasons.extend(origin.map(Reason::place));
        } else if names.iter().any(|name| name.starts_with("unit.")) {
            let profile = self.service_places.get(&container.service).cloned();
            reasons.extend(profile.map(|place| Reason::place(Origin::Profile { place })));
        }
        reasons
    }

    /// Returns where the value of a name came from; nothing for names of loops and the like.
    fn reason(&self, name: &str) -> Option<Reason> {
        let (root, rest) = name.split_once('.').unwrap_or((name, ""));
        let function = name.split('(').next().unwrap_or_default();
        let origin = match root {
            // Secrets are found in the output: there they have their own name.
            "secrets" => return None,
            "variables" => {
                let variable = rest.split('.').next().unwrap_or_default();
                self.origins.get(variable)?.clone()
            }
            "sizing" => Origin::Sizing { name: name.to_owned() },
            _ if function == "frontend" => {
                let frontend = name.split('"').nth(1)?;
                Origin::Profile { place: self.frontends.get(frontend)?.clone() }
            }
            _ if NAMES.iter().any(|(name, _)| *name == root) || is_function(function) => {
                Origin::Topology { name: name.to_owned() }
            }
            _ => return None,
        };
        let said = matches!(origin, Origin::Sizing { .. } | Origin::Topology { .. });
        Some(Reason { name: (!said).then(|| name.to_owned()), origin })
    }
}

/// The marks of a line; one without, such as the first of a value with several, has those of the
/// next line that has some.
fn marks_for(lines: &[Written], index: usize) -> &[(usize, usize)] {
    let following = lines[index..].iter().find(|line| !line.marks.is_empty());
    let marked = following.or_else(|| lines[..index].iter().rfind(|line| !line.marks.is_empty()));
    marked.map(|line| line.marks.as_slice()).unwrap_or_default()
}

fn merged_reasons(line: &Line, reasons: &[Vec<Reason>]) -> Vec<Reason> {
    match &line.source {
        LineSource::Base(number) => reasons.get(number - 1).cloned().unwrap_or_default(),
        LineSource::Override(file, number) => {
            vec![Reason::place(Origin::Override { place: format!("{file}:{number}") })]
        }
        LineSource::Merge => Vec::new(),
    }
}

/// The secrets whose placeholders stand in a line.
fn secrets_in(line: &str) -> Vec<Reason> {
    let after = line.split("<secret ").skip(1);
    let names = after.filter_map(|rest| Some(rest.split_once('>')?.0));
    names.map(|name| Reason::place(Origin::Secret { name: name.to_owned() })).collect()
}

/// Each reason once, in the order in which they were found.
fn distinct(reasons: Vec<Reason>) -> Vec<Reason> {
    let mut seen = BTreeSet::new();
    reasons.into_iter().filter(|reason| seen.insert(reason.clone())).collect()
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
