//! Brings a clone to the branch, tag, commit or change that is wanted.

use super::source::{ORIGIN, SOURCE, Source};
use super::{OwnClone, Wanted};
use crate::commands::dev::source::change;
use crate::commands::dev::source::change::Change;
use crate::commands::dev::source::git::Watch;
use crate::commands::dev::source::look::Question;
use crate::commands::dev::source::reference;
use crate::commands::dev::source::reference::Target;
use crate::config::nearest::suggestion;
use crate::error::{Error, ErrorKind, Result};

impl OwnClone {
    /// Fetches what is wanted and checks it out.
    pub(super) fn switch(
        &self,
        wanted: &Wanted,
        source: &Source,
        is_new: bool,
        watch: &mut Watch,
    ) -> Result<()> {
        let own = self.branches_with_own_commits()?;
        self.take_over_remotes(source, watch)?;
        let target = match (wanted.change, &wanted.reference) {
            (Some(change), _) => self.change(change, watch)?,
            (None, reference) => {
                // A clone of a URL that was made this moment has all there is.
                if !(is_new && source.remote == ORIGIN) {
                    self.fetch(source, watch)?;
                }
                self.target(reference.as_deref(), wanted.naming, source, watch)?
            }
        };
        self.check_out(&target, &own, watch)
    }

    fn branches_with_own_commits(&self) -> Result<Vec<String>> {
        self.ask(Question::OwnBranches)
    }

    fn take_over_remotes(&self, source: &Source, watch: &mut Watch) -> Result<()> {
        if source.remotes.is_empty() {
            return Ok(());
        }
        let known = self.reader()?.repository()?.remotes;
        for (name, url) in &source.remotes {
            let doing = format!("take over the remote `{name}` of {}", source.shown);
            // A stranger may have given the name.
            match known.iter().find(|(it, _)| it == name) {
                Some((_, known)) if known == url => {}
                Some(_) => {
                    self.git().run(&doing, &["remote", "set-url", "--", name, url], watch)?;
                }
                None => {
                    self.git().run(&doing, &["remote", "add", "--", name, url], watch)?;
                }
            }
        }
        Ok(())
    }

    fn fetch(&self, source: &Source, watch: &mut Watch) -> Result<()> {
        let doing = format!("fetch from {}", source.shown);
        let mut args = vec!["fetch", "--progress", source.remote];
        if source.remote == SOURCE {
            // What the work tree knows of its own remotes, too: their branches are there offline.
            args.extend([
                "+refs/heads/*:refs/remotes/aio-source/*",
                "+refs/tags/*:refs/aio/tags/*",
                "+refs/remotes/*:refs/remotes/*",
                "^refs/remotes/aio-source/*",
            ]);
        }
        let fetched = self.git().run(&doing, &args, watch);
        fetched.map(|_| ()).map_err(|error| match error.kind {
            ErrorKind::Interrupted => error,
            _ => error.hint(format!("To run what is there: --from {}", self.path.display())),
        })
    }

    fn change(&self, change: Change, watch: &mut Watch) -> Result<Target> {
        let fetched = change::fetch(change, &self.reader()?, &self.git(), watch)?;
        let commit = self
            .ask::<Option<String>>(Question::Commit(fetched.reference))?
            .ok_or_else(|| Error::failed(self.doing()).because("the change is not there"))?;
        Ok(Target { commit, branch: Some(fetched.branch), upstream: None })
    }

    fn target(
        &self,
        name: Option<&str>,
        naming: &str,
        source: &Source,
        watch: &mut Watch,
    ) -> Result<Target> {
        let Some(name) = name.filter(|name| *name != "HEAD") else {
            let found: Option<Target> =
                self.ask(Question::DefaultBranch(source.remote.to_owned()))?;
            return found.ok_or_else(|| {
                Error::new(ErrorKind::Usage, format!("find the default branch of {}", source.shown))
                    .because("it names none")
                    .hint(format!("Name a branch, a tag or a commit: {naming}."))
            });
        };
        let find = || {
            let (remote, name) = (source.remote.to_owned(), name.to_owned());
            self.ask::<Option<Target>>(Question::Find { remote, name })
        };
        if let Some(target) = find()? {
            return Ok(target);
        }
        let missed = || {
            let doing = format!("find `{name}` in {}", source.shown);
            Error::new(ErrorKind::Usage, doing).because("there is no such branch, tag or commit")
        };
        let asked = source.remotes.iter().any(|(name, _)| name == ORIGIN);
        let remote = if asked { ORIGIN } else { source.remote };
        if reference::is_exact(name) {
            return self.exact(name, remote, watch).map_err(|error| missed().because(error));
        }
        if asked {
            // A branch that the work tree has not fetched yet.
            let doing = format!("fetch from the remote `{remote}` of {}", source.shown);
            self.git().run(&doing, &["fetch", "--progress", remote], watch)?;
        }
        if let Some(target) = find()? {
            return Ok(target);
        }
        let names: Vec<String> = self.ask(Question::RemoteBranches)?;
        Err(missed().hints(suggestion(name, names.iter().map(String::as_str))))
    }

    /// Fetches a name that no branch or tag leads to.
    fn exact(&self, name: &str, remote: &str, watch: &mut Watch) -> Result<Target> {
        let local = format!("refs/aio/fetched/{}", name.trim_start_matches("refs/"));
        let refspec = format!("+{name}:{local}");
        let doing = format!("fetch `{name}`");
        self.git().run(&doing, &["fetch", "--progress", remote, &refspec], watch)?;
        let commit = self
            .ask::<Option<String>>(Question::Commit(local))?
            .ok_or_else(|| Error::failed(doing).because("it is not a commit"))?;
        Ok(Target { commit, branch: None, upstream: None })
    }

    fn check_out(&self, target: &Target, own: &[String], watch: &mut Watch) -> Result<()> {
        let commit = target.commit.as_str();
        let what = target.branch.as_deref().unwrap_or(commit);
        let doing = format!("check out `{what}` in the clone {}", self.path.display());
        self.refuse_lost_head(target, &doing)?;
        let mut args = vec!["checkout"];
        match &target.branch {
            None => args.extend(["--detach", commit]),
            Some(branch) if own.contains(branch) => {
                if self.stays(branch, target, &doing)? {
                    args.push(branch);
                } else {
                    args.extend(["-B", branch, commit]);
                }
            }
            // Nothing of one's own is on it: it goes where its remote is, even after a forced push.
            Some(branch) => args.extend(["-B", branch, commit]),
        }
        // A branch may be called as a file is.
        args.push("--");
        self.git().run(&doing, &args, watch).map_err(|error| self.not_checked_out(error))?;
        match (&target.branch, &target.upstream) {
            (Some(branch), Some(upstream)) => {
                let upstream = format!("--set-upstream-to={upstream}");
                self.git().run(&doing, &["branch", &upstream, branch], watch).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Commits on a detached head are lost as soon as it goes elsewhere.
    fn refuse_lost_head(&self, target: &Target, doing: &str) -> Result<()> {
        let lost: Vec<String> = self.ask(Question::OnlyInHead)?;
        let Some(newest) = lost.first() else { return Ok(()) };
        if target.commit == *newest || self.leads_to(&target.commit, newest)? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Refused, doing)
            .because("the detached head has commits that are on no branch")
            .hint(format!("Keep them: git -C {} branch NAME", self.path.display())))
    }

    /// Whether a branch with commits of one's own has all of the target and is to be left as it is;
    /// when the target has all of the branch it moves on, and otherwise both went their own ways.
    fn stays(&self, branch: &str, target: &Target, doing: &str) -> Result<bool> {
        let tip: Option<String> = self.ask(Question::Commit(format!("refs/heads/{branch}")))?;
        let Some(tip) = tip else { return Ok(false) };
        if tip == target.commit || self.leads_to(&tip, &target.commit)? {
            return Ok(true);
        }
        if self.leads_to(&target.commit, &tip)? {
            return Ok(false);
        }
        let at = self.path.display();
        Err(Error::new(ErrorKind::Refused, doing)
            .because(format!("its branch `{branch}` has commits of yours that do not follow it"))
            .hint(format!("To run them as they are: --from {at}"))
            .hint(format!("To put them aside: git -C {at} branch --move {branch} NAME")))
    }

    fn leads_to(&self, from: &str, to: &str) -> Result<bool> {
        self.ask(Question::LeadsTo { from: from.to_owned(), to: to.to_owned() })
    }

    /// Git refuses to check out over what would be lost, and says what that is.
    fn not_checked_out(&self, error: Error) -> Error {
        let said = error.output.clone().unwrap_or_default();
        if !said.contains("would be overwritten") {
            return error;
        }
        let files: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix('\t')).collect();
        let mut refused = Error::new(ErrorKind::Refused, error.message)
            .because(format!("changes that are not committed would be lost: {}", files.join(", ")))
            .hint(format!(
                "Commit them, or put them aside: git -C {} stash --include-untracked",
                self.path.display()
            ));
        refused.output = error.output;
        refused
    }
}
