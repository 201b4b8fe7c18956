//! What uv is asked for: versions of a release's requirements that go together, as of a day.

use super::day::{self, AsOf};
use crate::commands::dev::source::project::normalize;
use crate::config::release::PythonDistributions;
use crate::model::lock::Distribution;
use crate::model::requirement::{Conditional, not_taken};

/// The files that uv reads and writes, in its working directory.
pub const REQUIREMENTS: &str = "requirements.in";
pub const ANSWER: &str = "pylock.toml";

/// A question to uv.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// A list of requirements.
    pub requirements: String,
    pub arguments: Vec<String>,
}

impl Question {
    /// What is asked about a release on a machine (`x86_64`), of which some distributions were built: those
    /// are taken, whatever the release says of their versions.
    ///
    /// # Errors
    /// A sentence about a requirement or a day that is none.
    pub fn new(
        python: &PythonDistributions,
        as_of: AsOf,
        machine: &str,
        built: &[Distribution],
    ) -> Result<Self, String> {
        let mut requirements = String::new();
        for text in python.projects.iter().chain(&python.requirements) {
            let read = Conditional::parse(text).map_err(|reason| not_taken(text, &reason))?;
            let requirement = read.requirement();
            if built.iter().any(|it| it.name == normalize(requirement.name())) {
                requirements.push_str(&format!("{}\n", requirement.without_version()));
            } else {
                requirements.push_str(&format!("{read}\n"));
            }
        }
        for Distribution { name, version, .. } in built {
            requirements.push_str(&format!("{name}=={version}\n"));
        }
        let mut arguments = ["pip", "compile", REQUIREMENTS].map(str::to_owned).to_vec();
        let mut option = |name: &str, value: &str| arguments.push(format!("--{name}={value}"));
        option("python-version", &python.version);
        option("python-platform", &format!("{machine}-unknown-linux-gnu"));
        for (name, day) in &python.as_of_by_project {
            let day = day::parse(day).map_err(|reason| format!("`{name}`: {reason}"))?;
            option("exclude-newer-package", &format!("{name}={day}"));
        }
        for name in python.from_packages.keys() {
            option("no-emit-package", name);
        }
        option("format", ANSWER);
        option("output-file", ANSWER);
        arguments.extend(as_of.option());
        Ok(Self { requirements, arguments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(requirements: &[&str], other_days: &[(&str, &str)]) -> PythonDistributions {
        let text = |(name, day): &(&str, &str)| ((*name).to_owned(), (*day).to_owned());
        PythonDistributions {
            version: "3.13".to_owned(),
            home: "/opt/openstack".to_owned(),
            projects: Vec::new(),
            requirements: requirements.iter().map(|&it| it.to_owned()).collect(),
            as_of: "2026-10-20".to_owned(),
            as_of_by_project: other_days.iter().map(text).collect(),
            keep_tests: Vec::new(),
            certificates: Vec::new(),
            from_packages: [("rbd".to_owned(), vec!["rbd".to_owned()])].into(),
            lock: String::new(),
        }
    }

    fn as_of(text: &str) -> AsOf {
        let day = |text| day::parse(text).unwrap();
        AsOf::new(day(text), day("2026-11-30")).unwrap()
    }

    fn question(python: &PythonDistributions) -> Result<Question, String> {
        Question::new(python, as_of("2026-10-20"), "x86_64", &[])
    }

    #[test]
    fn uv_is_asked_for_one_platform_and_day() {
        let asked = question(&python(&["nova~=34.0", "uv"], &[("uv", "2026-10-27")])).unwrap();
        assert_eq!(asked.requirements, "nova~=34.0\nuv\n");
        let wanted = [
            "pip",
            "compile",
            "requirements.in",
            "--python-version=3.13",
            "--python-platform=x86_64-unknown-linux-gnu",
            "--exclude-newer-package=uv=2026-10-27",
            "--no-emit-package=rbd",
            "--format=pylock.toml",
            "--output-file=pylock.toml",
            "--exclude-newer=2026-10-20",
        ];
        assert_eq!(asked.arguments, wanted);
    }

    #[test]
    fn all_of_today_counts_but_for_what_has_a_day_of_its_own() {
        let python = python(&["nova>=34.0.0.dev0", "uv"], &[("uv", "2026-10-27")]);
        let asked = Question::new(&python, as_of("2026-11-30"), "x86_64", &[]).unwrap();
        // Pre-releases of what is asked for by one, as uv has it; of nothing else.
        assert_eq!(asked.requirements, "nova>=34.0.0.dev0\nuv\n");
        let of = |word: &str| asked.arguments.iter().filter(|it| it.contains(word)).count();
        assert_eq!((of("exclude-newer"), of("exclude-newer-package=uv=2026-10-27")), (1, 1));
        assert_eq!(of("prerelease"), 0);
    }

    #[test]
    fn what_was_built_is_taken_in_its_version() {
        let built = ["nova", "oslo-messaging"].map(|name| Distribution {
            name: name.to_owned(),
            version: "34.0.1.dev2".to_owned(),
            hashes: Vec::new(),
            commit: None,
        });
        let python = python(&["Nova~=34.0", "oslo.messaging[kafka]>1", "uv"], &[]);
        let asked = Question::new(&python, as_of("2026-10-20"), "x86_64", &built).unwrap();
        let wanted = "Nova\noslo.messaging[kafka]\nuv\nnova==34.0.1.dev2\n\
                      oslo-messaging==34.0.1.dev2\n";
        assert_eq!(asked.requirements, wanted);
    }

    #[test]
    fn what_is_no_requirement_or_no_day_is_named() {
        for text in ["-r /etc/shadow", "nova @ file:///x", "./nova"] {
            let said = question(&python(&[text], &[])).unwrap_err();
            assert!(said.starts_with(&format!("`{text}` is not taken: ")), "{said}");
        }
        let said = question(&python(&["nova"], &[("nova", "soon")])).unwrap_err();
        assert_eq!(said, "`nova`: `soon` is no day: write YYYY-MM-DD, as in 2026-10-20");
    }
}
