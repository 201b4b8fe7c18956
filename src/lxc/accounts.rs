//! Users and groups by the accounts files of a container, never by those of the host.

use std::os::fd::AsFd;
use std::path::Path;

use super::rooted;

/// The two files, parsed on demand.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    /// From the contents of `/etc/passwd` and `/etc/group`.
    pub fn new(passwd: String, group: String) -> Self {
        Self { passwd, group }
    }

    /// The ids of `user:group`, each a name or a number.
    pub fn resolve(&self, owner: &str) -> Result<(u32, u32), String> {
        let (user, group) = owner
            .split_once(':')
            .ok_or_else(|| format!("`{owner}` is not an owner such as `root:root`"))?;
        let uid = find_id(&self.passwd, user)
            .ok_or_else(|| format!("there is no user `{user}` in the container"))?;
        let gid = find_id(&self.group, group)
            .ok_or_else(|| format!("there is no group `{group}` in the container"))?;
        Ok((uid, gid))
    }

    /// `user:group` of two ids; a number where there is no name.
    pub fn name(&self, uid: u32, gid: u32) -> String {
        format!("{}:{}", find_name(&self.passwd, uid), find_name(&self.group, gid))
    }

    /// With what a user signs in; what every system has where nothing is said of it.
    fn login(&self, user: &str) -> Login {
        let field = |number, usual: &str| self.field(user, number).unwrap_or(usual).to_owned();
        Login { user: user.to_owned(), home: field(5, "/"), shell: field(6, "/bin/sh") }
    }

    fn field(&self, user: &str, number: usize) -> Option<&str> {
        let line = self.passwd.lines().find(|line| line.split(':').next() == Some(user))?;
        line.split(':').nth(number).filter(|value| !value.is_empty())
    }
}

/// With what a user signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub home: String,
    pub shell: String,
}

impl Login {
    /// A running container's root, by its own `/etc/passwd`.
    pub fn of_root(init_pid: u32) -> Self {
        let root = rooted::open_root(Path::new(&format!("/proc/{init_pid}/root")));
        let passwd = root.and_then(|root| rooted::read(root.as_fd(), "/etc/passwd".as_ref()));
        let passwd = passwd.ok().flatten().unwrap_or_default();
        Accounts::new(String::from_utf8_lossy(&passwd).into_owned(), String::new()).login("root")
    }

    /// What programs know of who runs them.
    pub fn variables(&self) -> [(String, String); 4] {
        [
            ("USER", &self.user),
            ("LOGNAME", &self.user),
            ("HOME", &self.home),
            ("SHELL", &self.shell),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()))
    }

    /// The shell without its directory.
    pub fn shell_name(&self) -> &str {
        self.shell.rsplit('/').next().unwrap_or(&self.shell)
    }
}

fn find_id(file: &str, name: &str) -> Option<u32> {
    let by_name = file.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    });
    by_name.or_else(|| name.parse().ok())
}

fn find_name(file: &str, id: u32) -> String {
    let name = file.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts::new(
            "root:x:0:0:root:/root:/bin/bash\nmysql:x:101:103:,,,:/nonexistent:/bin/false\n".into(),
            "root:x:0:\nmysql:x:103:\nadm:x:4:syslog\n".into(),
        )
    }

    #[test]
    fn names_and_numbers_resolve() {
        assert_eq!(accounts().resolve("mysql:adm"), Ok((101, 4)));
        assert_eq!(accounts().resolve("7:103"), Ok((7, 103)));
    }

    #[test]
    fn unknown_names_and_odd_owners_are_errors() {
        assert!(accounts().resolve("heat:root").unwrap_err().contains("`heat`"));
        assert!(accounts().resolve("root:heat").unwrap_err().contains("group `heat`"));
        assert!(accounts().resolve("root").is_err());
    }

    #[test]
    fn ids_become_names_where_there_is_one() {
        assert_eq!(accounts().name(101, 4), "mysql:adm");
        assert_eq!(accounts().name(9, 9), "9:9");
    }

    #[test]
    fn a_login_is_that_of_the_file_or_the_usual_one() {
        let root = accounts().login("root");
        assert_eq!([root.home.as_str(), root.shell_name()], ["/root", "bash"]);
        let nobody = accounts().login("nobody");
        assert_eq!([nobody.home.as_str(), nobody.shell.as_str()], ["/", "/bin/sh"]);
        let variables = root.variables().map(|(name, value)| format!("{name}={value}"));
        assert_eq!(variables, ["USER=root", "LOGNAME=root", "HOME=/root", "SHELL=/bin/bash"]);
    }
}
