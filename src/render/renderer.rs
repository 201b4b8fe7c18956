//! Renders the files of containers.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use secrecy::{ExposeSecret, SecretString};

use crate::config::load::Profiles;
use crate::config::origin::Origin;
use crate::config::oslo::Ini;
use crate::config::overrides::{OverrideFile, Overrides, Target, file_name};
use crate::config::profile::{File, Merge, ServiceProfile};
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::model::cloud::Cloud;
use crate::model::file::ContainerFile;
use crate::model::topology::Container;

use super::context::{Context, UnitValue};
use super::errors::Failed;
use super::functions::{add_filters, add_functions, placeholder};

/// The name under which a text that is no file is rendered.
const INLINE: &str = "<text>";

/// An option that the user's own lines set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Overridden {
    /// What errors call the file in which it stands.
    pub file: String,
    pub section: String,
    pub key: String,
}

/// Renders texts for the containers of one cloud. The same inputs give the same bytes.
///
/// Holds secrets: it has no `Debug`, and none of its errors shows a secret's value.
pub struct Renderer {
    environment: Environment<'static>,
    context: Context,
    /// The same with placeholders for secrets.
    pub(super) masked: Context,
    pub(super) templates: BTreeMap<String, Template>,
    overrides: Overrides,
    pub(super) origins: BTreeMap<String, Origin>,
    /// Where frontends are defined.
    pub(super) frontends: BTreeMap<String, String>,
    /// Where services are defined.
    pub(super) service_places: BTreeMap<String, String>,
    pub(super) services: Vec<ServiceProfile>,
    /// Scripts in place of WSGI modules, by container kind.
    wsgi_scripts: BTreeMap<String, BTreeMap<String, String>>,
    /// Value and placeholder of every secret, the longest value first.
    secrets: Vec<(String, String)>,
}

/// A file of `profiles/templates/`.
pub(super) struct Template {
    pub(super) text: String,
    /// What errors call it.
    pub(super) shown: String,
}

impl Renderer {
    /// Prepares rendering. Every template is parsed here, so that a mistake in one shows early.
    pub fn new(
        cloud: &Cloud,
        secrets: &BTreeMap<String, SecretString>,
        profiles: &Profiles,
        overrides: &Overrides,
    ) -> Result<Self> {
        let context = Context::new(cloud, profiles, secrets, |_, value| value.to_owned());
        let templates = templates(profiles);
        let mut renderer = Self {
            environment: environment(&context, false)?,
            context,
            masked: Context::new(cloud, profiles, secrets, |name, _| placeholder(name)),
            templates,
            overrides: overrides.clone(),
            origins: BTreeMap::new(),
            frontends: frontend_places(profiles),
            service_places: service_places(profiles),
            services: cloud.services.clone(),
            wsgi_scripts: wsgi_scripts(cloud),
            secrets: by_length(secrets),
        };
        for (name, template) in &renderer.templates {
            let added =
                renderer.environment.add_template_owned(name.clone(), template.text.clone());
            added.map_err(|error| syntax_error(&template.shown, &error))?;
        }
        Ok(renderer)
    }

    /// Says where values of variables came from, for explanations.
    #[must_use]
    pub fn with_origins(mut self, origins: BTreeMap<String, Origin>) -> Self {
        self.origins = origins;
        self
    }

    /// A file of a container, overrides merged.
    pub fn render_file(&self, container: &Container, file: &File) -> Result<ContainerFile> {
        let context = self.context.of(container, &self.unit(container, file));
        let path = self.render(&file.path, &context, container)?;
        let doing = || format!("render `{path}` of container `{}`", container.name);
        let text = self.template_text(file, &context).map_err(|error| error.context(doing()))?;
        let text = self.merged(container, file, text).map_err(|error| error.context(doing()))?;
        let mode = u32::from_str_radix(&file.mode, 8).doing(|| {
            format!("read the mode `{}` of `{path}` in service `{}`", file.mode, container.service)
        })?;
        Ok(ContainerFile { path, owner: file.owner.clone(), mode, content: text.into_bytes() })
    }

    /// A template that stands in a profile itself.
    pub fn render_text(&self, container: &Container, text: &str) -> Result<String> {
        self.render(text, &self.context.of(container, None), container)
    }

    /// The environment of a script that stands in a profile: the place of its secrets.
    pub fn render_environment(
        &self,
        container: &Container,
        variables: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>> {
        let rendered = variables
            .iter()
            .map(|(name, value)| Ok((name.clone(), self.render_text(container, value)?)));
        rendered.collect()
    }

    /// The same as [`Self::render_text`], with the fields of `extra` as further names.
    pub fn render_text_with(
        &self,
        container: &Container,
        text: &str,
        extra: &serde_json::Value,
    ) -> Result<String> {
        self.render(text, &self.context.of(container, Some(extra)), container)
    }

    fn render(&self, text: &str, context: &Value, container: &Container) -> Result<String> {
        // Most texts of profiles are plain: nothing to render, nothing to fail.
        if !text.contains('{') {
            return Ok(text.to_owned());
        }
        self.environment.render_named_str(INLINE, text, context.clone()).map_err(|error| {
            let error = self.explain_error(&error, context, Some(text));
            error.context(format!("render a text of container `{}`", container.name))
        })
    }

    /// The template's own text, before overrides.
    fn template_text(&self, file: &File, context: &Value) -> Result<String> {
        let template = self.environment.get_template(&file.template);
        let rendered = template.and_then(|template| template.render(context.clone()));
        rendered.map_err(|error| self.explain_error(&error, context, None))
    }

    fn merged(&self, container: &Container, file: &File, text: String) -> Result<String> {
        if file.merge == Merge::None {
            return Ok(text);
        }
        Ok(self.merge(container, file, &text)?.to_string())
    }

    /// `text` as a file of sections and keys, with all overrides that reach it.
    pub(super) fn merge(&self, container: &Container, file: &File, text: &str) -> Result<Ini> {
        let mut ini = Ini::parse(text).map_err(|malformed| {
            let message = format!("line {} of what it renders to", malformed.line);
            Error::new(ErrorKind::Config, format!("template `{}`", file.template))
                .because(format!("{message}: {}", malformed.reason))
        })?;
        for over in self.reaching(container, file) {
            ini.merge(&over.ini);
        }
        Ok(ini)
    }

    /// The unit that a file is about, as templates see it.
    pub(super) fn unit(&self, container: &Container, file: &File) -> Option<serde_json::Value> {
        let services = self.services.iter().filter(|it| it.service == container.service);
        let kind = services.filter_map(|it| it.containers.get(&container.kind)).next()?;
        let unit = kind.units.iter().find(|unit| Some(&unit.name) == file.unit.as_ref())?;
        let scripts = self.wsgi_scripts.get(&container.kind);
        let script = unit.runs.as_ref().and_then(|runs| scripts?.get(runs.wsgi.as_ref()?));
        let unit = UnitValue {
            name: &unit.name,
            stem: unit.stem(),
            runs: unit.runs.as_ref(),
            uwsgi_file: unit.uwsgi_file(&container.service),
            user: unit.user(&container.service),
            command: unit.command(&container.service),
            wsgi_script: script,
        };
        Some(serde_json::json!({ "unit": unit }))
    }

    /// What errors call the file's template.
    pub fn template_place(&self, file: &File) -> String {
        let template = self.templates.get(&file.template);
        template.map_or_else(|| file.template.clone(), |template| template.shown.clone())
    }

    /// The override files that are merged into a file, the most particular last.
    pub fn overrides_of(&self, container: &Container, file: &File) -> Vec<String> {
        self.reaching(container, file).into_iter().map(|over| over.shown.clone()).collect()
    }

    /// What the user's own lines set in files of a container.
    pub fn overridden(&self, container: &Container) -> BTreeSet<Overridden> {
        let service = self.services.iter().find(|service| service.service == container.service);
        let kind = service.and_then(|service| service.containers.get(&container.kind));
        let files = kind.into_iter().flat_map(|kind| &kind.files);
        let overrides = files.flat_map(|file| self.reaching(container, file));
        let keys = overrides.flat_map(|over| {
            over.ini.keys().map(|(section, key)| Overridden {
                file: over.shown.clone(),
                section: section.to_owned(),
                key: key.to_owned(),
            })
        });
        keys.collect()
    }

    fn reaching(&self, container: &Container, file: &File) -> Vec<&OverrideFile> {
        let service = self.services.iter().find(|service| service.service == container.service);
        let Some(service) = service.filter(|_| file.merge == Merge::Ini) else { return Vec::new() };
        self.overrides.reaching(&Target {
            service,
            kind: &container.kind,
            member: container.member,
            units: &container.units,
            file: file_name(file),
        })
    }

    pub(super) fn explain_error(
        &self,
        error: &minijinja::Error,
        context: &Value,
        inline: Option<&str>,
    ) -> Error {
        let source = |name: &str| match self.templates.get(name) {
            Some(template) => Some((template.text.as_str(), template.shown.clone())),
            None => inline.map(|text| (text, format!("`{}`", first_line(text)))),
        };
        Failed { context, source: &source, secrets: &self.secrets }.explain(error)
    }
}

/// An environment with our syntax, functions and filters, and no template.
pub(super) fn environment(context: &Context, masked: bool) -> Result<Environment<'static>> {
    let mut environment = Environment::new();
    // Else errors would carry the values of variables, and differ between builds.
    environment.set_debug(false);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(|output, state, value| {
        if value.is_none() {
            // "None" in a configuration file is never what its author meant.
            let message = "the value is none; test it with `if` first";
            return Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, message));
        }
        minijinja::escape_formatter(output, state, value)
    });
    environment.set_syntax(syntax()?);
    add_functions(&mut environment, context, masked);
    add_filters(&mut environment, masked);
    Ok(environment)
}

fn syntax() -> Result<SyntaxConfig> {
    let mut syntax = SyntaxConfig::builder();
    let syntax = syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    syntax.build().doing(|| "set the syntax of templates".to_owned())
}

/// What cannot be read in templates, whatever they are rendered for.
pub fn syntax_errors(profiles: &Profiles) -> Result<Vec<Error>> {
    let mut environment = Environment::new();
    environment.set_debug(false);
    environment.set_syntax(syntax()?);
    let mut errors = Vec::new();
    for (name, template) in templates(profiles) {
        let added = environment.add_template_owned(name, template.text);
        errors.extend(added.err().map(|error| syntax_error(&template.shown, &error)));
    }
    Ok(errors)
}

fn templates(profiles: &Profiles) -> BTreeMap<String, Template> {
    let templates = profiles.templates.iter().map(|(name, text)| {
        let shown = profiles.shown_path(&format!("templates/{name}"));
        (name.clone(), Template { text: text.clone(), shown })
    });
    templates.collect()
}

fn frontend_places(profiles: &Profiles) -> BTreeMap<String, String> {
    let services = profiles.services.values();
    services
        .flat_map(|service| {
            let path = format!("services/{}.yml", service.service);
            service.frontends.iter().map(move |frontend| {
                let word = format!("name: {}", frontend.name);
                (frontend.name.clone(), profiles.shown_line(&path, &word))
            })
        })
        .collect()
}

fn service_places(profiles: &Profiles) -> BTreeMap<String, String> {
    let names = profiles.services.keys();
    names.map(|name| (name.clone(), profiles.shown_path(&format!("services/{name}.yml")))).collect()
}

fn syntax_error(shown: &str, error: &minijinja::Error) -> Error {
    let line = error.line().map(|line| format!(":{line}")).unwrap_or_default();
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    Error::new(ErrorKind::Config, format!("{shown}{line}: {}{detail}", error.kind()))
}

fn wsgi_scripts(cloud: &Cloud) -> BTreeMap<String, BTreeMap<String, String>> {
    let kinds = cloud.services.iter().flat_map(|service| service.containers.keys());
    kinds.map(|kind| (kind.clone(), cloud.releases().of(kind).wsgi_scripts.clone())).collect()
}

fn by_length(secrets: &BTreeMap<String, SecretString>) -> Vec<(String, String)> {
    let mut values: Vec<(String, String)> = secrets
        .iter()
        .map(|(name, value)| (value.expose_secret().to_owned(), placeholder(name)))
        .collect();
    values.sort_by(|(one, _), (other, _)| other.len().cmp(&one.len()).then(one.cmp(other)));
    values
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}

#[cfg(test)]
#[path = "renderer_tests.rs"]
mod tests;
