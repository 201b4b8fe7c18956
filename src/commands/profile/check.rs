//! Profiles by themselves, without a host that could carry their cloud: what `bootstrap` would find
//! wrong with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use secrecy::SecretString;
use serde::Serialize;

use crate::config::examples;
use crate::config::load::Profiles;
use crate::config::overrides::Overrides;
use crate::config::profile::{Ask, Done, Probe, ServiceProfile};
use crate::config::reference;
use crate::config::release::{Release, Releases};
use crate::config::scenario::Scenario;
use crate::config::schema;
use crate::config::variables::{UserVariables, resolve_variables};
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::host::facts::{self, Depth};
use crate::model::build::{self, Inputs};
use crate::model::cloud::Cloud;
use crate::model::facts::{HostFacts, NetworkFacts};
use crate::model::lock::Lock;
use crate::model::paths::Paths;
use crate::model::ranges;
use crate::model::sizing::Sizing;
use crate::model::topology::Container;
use crate::render::{Renderer, syntax_errors};
use crate::secrets::spec::SecretSpec;
use crate::secrets::store;
use crate::state::files;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, where one is known.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<usize>,
    pub message: String,
    /// The nearest right name, or what to do.
    pub hint: Option<String>,
}

impl Finding {
    /// Reads the place that our errors begin with: `FILE:LINE:COLUMN: what is wrong`.
    fn of(error: &Error) -> Self {
        let said = std::iter::once(&error.message).chain(&error.causes);
        let said: Vec<&str> = said.map(String::as_str).collect();
        // What was being done may stand before it.
        let start = said.iter().position(|said| placed(said).is_some()).unwrap_or_default();
        let (file, line, what) = placed(said[start]).unwrap_or((None, None, said[start]));
        let message = [&[what], &said[start + 1..]].concat().join(": ");
        Self { file, line, message, hint: error.hints.first().cloned() }
    }
}

/// The file, the line and the rest of what begins with a place.
fn placed(said: &str) -> Option<(Option<String>, Option<usize>, &str)> {
    let (place, what) = said.split_once(": ")?;
    let mut parts = place.split(':');
    let file = parts.next().filter(|file| file.contains('/') && !file.contains([' ', '`']))?;
    let numbers: Option<Vec<usize>> = parts.map(|number| number.parse().ok()).collect();
    Some((Some(file.to_owned()), numbers?.first().copied(), what))
}

/// Everything that is wrong with the profiles and the specification of secrets in a directory that is
/// laid out as the configuration directory is, together with the built-in ones.
///
/// # Errors
/// When they cannot be read at all.
pub async fn check(paths: &Paths) -> Result<Vec<Finding>> {
    let (profiles, mut errors) = Profiles::load_what_can_be(&paths.config_dir)?;
    let specification = store::specification(&paths.config_dir);
    let syntax = syntax_errors(&profiles)?;
    match specification {
        Err(error) => errors.push(error),
        // Where a file cannot be read, what it defines would be missing everywhere.
        Ok(_) if !errors.is_empty() => {}
        Ok(specification) => {
            let facts = facts::read(&paths.state_dir, Depth::Quick).await;
            for release in profiles.releases.values() {
                let file = profiles.shown_path(&format!("releases/{}.lock", release.release));
                // Who asks for one by its name may be who makes its lock.
                if !(release.by_name
                    && release.python.as_ref().is_some_and(|it| it.lock.is_empty()))
                {
                    errors.extend(Lock::check(release, &file).err());
                }
                let profiles = profiles.clone().of_releases(Releases::of_all(release));
                errors.extend(profiles.mistakes(&|name| specification.known(name)));
                if syntax.is_empty() {
                    let (specification, facts) = (&specification, &facts);
                    let rehearsal =
                        Rehearsal { paths, profiles: &profiles, release, specification, facts };
                    errors.extend(rehearsal.errors());
                }
            }
        }
    }
    errors.extend(syntax);
    let mut findings: Vec<Finding> = Vec::new();
    for finding in errors.iter().map(Finding::of) {
        // What is wrong in a template is wrong in each container that has the file.
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    Ok(findings)
}

/// Clouds of a release that are built on paper: every scenario, and one with all kinds.
struct Rehearsal<'a> {
    paths: &'a Paths,
    profiles: &'a Profiles,
    release: &'a Release,
    specification: &'a SecretSpec,
    facts: &'a HostFacts,
}

impl Rehearsal<'_> {
    fn errors(&self) -> Vec<Error> {
        let everything = self.everything();
        let scenarios = self.profiles.scenarios.values().map(|scenario| (scenario, false));
        let mut errors = Vec::new();
        for (scenario, everything) in scenarios.chain([(&everything, true)]) {
            match self.cloud(scenario) {
                Ok(cloud) => self.render(&cloud, everything, &mut errors),
                Err(error) => errors.push(error),
            }
        }
        errors
    }

    /// Every kind of every service, as often as somebody who asks for it by name has it.
    fn everything(&self) -> Scenario {
        let members =
            self.profiles.kinds().map(|(name, _, kind)| (name.to_owned(), kind.members.max(1)));
        Scenario {
            scenario: "everything".to_owned(),
            summary: String::new(),
            rank: 0,
            members: members.collect(),
            variables: IndexMap::new(),
        }
    }

    fn cloud(&self, scenario: &Scenario) -> Result<Cloud> {
        let profiles = self.profiles;
        let networks =
            ranges::choose(&self.paths.cloud, &BTreeMap::new(), &NetworkFacts::default())?;
        let variables = resolve_variables(profiles, scenario, &UserVariables::default())?;
        let members =
            scenario.members.iter().map(|(kind, members)| (kind.clone(), *members)).collect();
        let limits =
            profiles.kinds().map(|(name, _, kind)| (name.to_owned(), kind.memory.limit_mib));
        build::build(Inputs {
            paths: self.paths,
            region: "RegionOne",
            patience: 1,
            releases: Releases::of_all(self.release),
            scenario: &scenario.scenario,
            members: &members,
            services: profiles.services.values().collect(),
            networks: &networks.networks,
            former: None,
            recorded: &BTreeMap::new(),
            facts: self.facts,
            sizing: Sizing { memory_limit_mib: limits.collect(), ..Sizing::default() },
            variables: variables.values,
            packages: &variables.packages,
            sources: "",
        })
    }

    /// Renders every file of a cloud, and every other text where it would be used. Checks are there for
    /// what they need, so they are tried where everything is.
    fn render(&self, cloud: &Cloud, everything: bool, errors: &mut Vec<Error>) {
        let services: Vec<String> = cloud.services.iter().map(|it| it.service.clone()).collect();
        let secrets = self.specification.needed_by(&services);
        // Nothing else in a message looks like one.
        let value = |name: &str| SecretString::from(format!("value-of-{name}"));
        let secrets = secrets.map(|(name, _)| (name.to_owned(), value(name)));
        let renderer =
            Renderer::new(cloud, &secrets.collect(), self.profiles, &Overrides::default());
        let renderer = match renderer {
            Ok(renderer) => renderer,
            Err(error) => return errors.push(error),
        };
        for container in &cloud.containers {
            let Some((_, kind)) = cloud.kind(&container.kind) else { continue };
            let seed = kind.cluster.iter().flat_map(|cluster| &cluster.seed);
            for file in cloud.release.files.iter().chain(&kind.files).chain(seed) {
                if self.profiles.templates.contains_key(&file.template) {
                    errors.extend(renderer.render_file(container, file).err());
                }
            }
        }
        for service in &cloud.services {
            let mut texts = texts(service);
            if everything {
                texts.extend(checks(service));
            }
            for (kind, text) in texts {
                let Some(container) = cloud.members(kind).next() else { continue };
                let rendered = renderer.render_text_with(container, text, &gone(container));
                errors.extend(rendered.err().map(|error| self.placed(service, text, &error)));
            }
        }
    }

    /// An error about a text of a profile, with its place there: where its first line stands, and the
    /// line of the error counted from there unless the text is written in another way.
    fn placed(&self, service: &ServiceProfile, text: &str, error: &Error) -> Error {
        let path = format!("services/{}.yml", service.service);
        let lines: Vec<&str> = text.trim().lines().collect();
        let first = lines.first().copied().unwrap_or_default();
        let said = error.causes.first().unwrap_or(&error.message);
        let said = said.strip_prefix(&format!("`{first}`")).unwrap_or(said);
        let (number, what) = said.trim_start_matches(':').split_once(": ").unwrap_or(("", said));
        let wanted =
            number.parse::<usize>().ok().and_then(|number| lines.get(number.checked_sub(1)?));
        let place = self.profiles.shown_line(&path, wanted.unwrap_or(&first).trim());
        Error::new(ErrorKind::Config, format!("{place}: {what}")).hints(&error.hints)
    }
}

/// What those who are about to go, or went, are to templates.
fn gone(container: &Container) -> serde_json::Value {
    let member = serde_json::json!({
        "name": container.name, "hostname": container.hostname, "kind": container.kind,
        "member": container.member, "address": container.management_address() });
    serde_json::json!({ "departing": member, "departed": [member] })
}

/// Templates of a profile that a build renders, with the kinds in which they are.
fn texts(service: &ServiceProfile) -> Vec<(&str, &str)> {
    let mut texts: Vec<(&str, &str)> = Vec::new();
    for (name, kind) in &service.containers {
        let probes = kind.health.iter().filter_map(|probe| match probe {
            Probe::Run { script } => Some(script),
            _ => None,
        });
        let clusters = kind.cluster.iter();
        let scripts =
            clusters.flat_map(|it| [&it.position, &it.promote, &it.forget, &it.grow]).flatten();
        let applied = kind.files.iter().filter_map(|file| file.apply.as_ref());
        texts.extend(
            probes.chain(scripts).chain(applied).map(|text| (name.as_str(), text.as_str())),
        );
    }
    texts.extend(service.sql_server.iter().map(|it| (it.kind.as_str(), it.access.as_str())));
    let leave = &service.leave;
    for refusal in &leave.refuse {
        let (Ask::Sql { query: text } | Ask::Run { script: text }) = &refusal.ask;
        texts.extend(refusal.of.iter().map(|kind| (kind.as_str(), text.as_str())));
    }
    let setup =
        service.setup.iter().map(|it| (&it.container, &it.script, &it.environment, &it.done));
    let forget =
        leave.forget.iter().map(|it| (&it.container, &it.script, &it.environment, &it.done));
    for (container, script, environment, done) in setup.chain(forget) {
        let done = match done {
            Done::Sql { query: text } | Done::Run { script: text } => Some(text),
            Done::AdminToken => None,
        };
        let all = environment.values().chain([script]).chain(done);
        texts.extend(all.map(|text| (container.as_str(), text.as_str())));
    }
    if let Some(upgrade) = &service.upgrade {
        let setup = service.setup.iter().filter(|command| command.name == upgrade.setup);
        let scripts = setup.flat_map(|command| {
            let all = [&upgrade.check, &upgrade.expand, &upgrade.migrate];
            all.map(|script| (command.container.as_str(), script.as_str()))
        });
        texts.extend(scripts);
    }
    texts
}

/// Returns the templates of its checks, with the kinds in which they are.
fn checks(service: &ServiceProfile) -> Vec<(&str, &str)> {
    let checks = service.verify.iter().flat_map(|check| {
        let parts = check.then.iter().map(|part| (&part.container, &part.script));
        let own = check.environment.values().chain([&check.script]);
        own.map(|text| (&check.container, text)).chain(parts)
    });
    let suites = service.suites.iter().flat_map(|suite| {
        let own = suite.environment.values().chain([&suite.script]);
        own.map(|text| (&suite.container, text))
    });
    let lasting = service.lasting.iter().flat_map(|it| {
        let own = it.environment.values().chain([&it.script]);
        own.map(|text| (&it.container, text))
    });
    checks.chain(suites).chain(lasting).map(|(kind, text)| (kind.as_str(), text.as_str())).collect()
}

/// Writes the files of a new service, which a check finds nothing wrong with, and returns their paths.
/// The schemas by which editors check them are written beside, in `schema/`.
pub fn new(config_dir: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let doing = || format!("make the service `{name}`");
    let usage = |why: &str| Error::new(ErrorKind::Usage, doing()).because(why);
    let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(of_name) {
        return Err(usage("its name is lower-case letters and digits, the first a letter"));
    }
    let profiles = Profiles::load(config_dir)?;
    if let Some(known) = profiles.services.get(name) {
        return Err(usage("there is a service of that name").hint(format!(
            "It is: {}. Its profile is {}.",
            known.summary,
            profiles.shown_path(&format!("services/{name}.yml"))
        )));
    }
    let files = examples::service(&profiles, name);
    let paths: Vec<PathBuf> = files.iter().map(|(path, _)| config_dir.join(path)).collect();
    if let Some(there) = paths.iter().find(|path| path.exists()) {
        return Err(usage(&format!("{} is there already", there.display())));
    }
    for (path, (_, text)) in paths.iter().zip(files) {
        let parent = path.parent().unwrap_or(config_dir);
        std::fs::create_dir_all(parent).doing(doing)?;
        files::write(path, text)?;
    }
    let directory = config_dir.join("schema");
    std::fs::create_dir_all(&directory).doing(doing)?;
    let secrets = ("secrets", SecretSpec::schema());
    for (name, made) in reference::schemas(&profiles).into_iter().chain([secrets]) {
        let path = directory.join(format!("{name}.json"));
        files::write(&path, schema::text(&made))?;
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(config_dir: &Path) -> Paths {
        Paths {
            config_dir: config_dir.to_owned(),
            state_dir: "/nonexistent".into(),
            cloud: "aio1".into(),
        }
    }

    #[tokio::test]
    async fn nothing_is_wrong_with_what_is_built_in_or_new() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(check(&paths(directory.path())).await.unwrap(), []);
        let written = new(directory.path(), "greeter").unwrap();
        assert_eq!(written.len(), 3);
        assert_eq!(check(&paths(directory.path())).await.unwrap(), []);
        for name in ["greeter", "heat", "Greeter", "a/b", "1a"] {
            assert_eq!(new(directory.path(), name).unwrap_err().kind, ErrorKind::Usage, "{name}");
        }
        std::fs::remove_file(&written[0]).unwrap();
        let error = new(directory.path(), "greeter").unwrap_err();
        assert!(error.causes[0].ends_with("greeter.conf is there already"), "{error}");
    }

    #[tokio::test]
    async fn each_mistake_has_its_line_and_the_nearest_right_name() {
        let meant = |name: &str| Some(format!("did you mean `{name}`?"));
        // In which file, what is written in place of what, where it is seen, what is said.
        for (file, right, wrong, seen, message, hint) in [
            (
                0,
                "packages:",
                "pakages:",
                "pakages",
                "containers.greeter: unknown field `pakages`",
                meant("packages"),
            ),
            (
                0,
                "backend: greeter",
                "backend: greter",
                "greter",
                "there is no container kind `greter`",
                meant("greeter"),
            ),
            (
                0,
                ", port: 9500",
                "",
                "greeter-api.service",
                "`greeter-api.service` needs both `wsgi` and `port`, or neither",
                None,
            ),
            (
                0,
                "database_url('greeter')",
                "database_url('other')",
                "'other'",
                "invalid operation: there is no database `other`",
                None,
            ),
            (
                0,
                "{{ frontend('greeter').url }}",
                "{{ secrets.greeter_service_pasword }}",
                "greeter_service_pasword",
                "`secrets.greeter_service_pasword` is not defined",
                meant("greeter_service_password"),
            ),
            (
                1,
                "variables.greeter_debug",
                "variables.greter_debug",
                "greter",
                "`variables.greter_debug` is not defined",
                meant("greeter_debug"),
            ),
            (
                1,
                "{% include",
                "{% inclde",
                "inclde",
                "syntax error: unknown statement inclde",
                None,
            ),
            (
                2,
                "length: 32",
                "accepts: [1]",
                "greeter_database_password",
                "secret `greeter_database_password`: a password, token or hex key needs a `length`",
                None,
            ),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let written = new(directory.path(), "greeter").unwrap();
            let text = std::fs::read_to_string(&written[file]).unwrap();
            assert!(text.contains(right), "{right}");
            let text = text.replacen(right, wrong, 1);
            std::fs::write(&written[file], &text).unwrap();
            let found = check(&paths(directory.path())).await.unwrap();
            let line = text.lines().position(|line| line.contains(seen)).map(|index| index + 1);
            let wanted = |it: &Finding| {
                it.line == line
                    && it.message.starts_with(message)
                    && it.hint == hint
                    && it.file.as_ref().is_some_and(|file| file.contains("greeter"))
            };
            assert!(found.iter().any(wanted), "{wrong}, line {line:?}: {found:#?}");
        }
    }

    #[tokio::test]
    async fn all_mistakes_are_found_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let written = new(directory.path(), "greeter").unwrap();
        let text = std::fs::read_to_string(&written[0]).unwrap();
        let text = text
            .replace("needs: [haproxy,", "needs: [haproxi,")
            .replace("curl -sf", "curl -sf {{ nowhere }}");
        std::fs::write(&written[0], text).unwrap();
        std::fs::write(&written[1], "[DEFAULT]\nx = {{ sizing.api_worker }}\n").unwrap();
        let found = check(&paths(directory.path())).await.unwrap();
        let messages: Vec<&str> = found.iter().map(|it| it.message.as_str()).collect();
        assert!(messages.iter().any(|it| it.contains("haproxi")), "{found:?}");
        assert!(messages.contains(&"`sizing.api_worker` is not defined"), "{found:?}");
        assert!(messages.contains(&"`nowhere` is not defined"), "{found:?}");
    }
}
