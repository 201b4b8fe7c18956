//! What the rows about checkouts share: a small project in the place of `web`'s package.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::cloud::Cloud;
use crate::support::process::{Finished, run, shell};

/// The user whose checkout it is.
pub const OWNER: u32 = 1000;

/// A checkout of the project in `web`, of the version that is packaged.
pub struct Checkout {
    /// Its root.
    pub root: PathBuf,
    directory: PathBuf,
}

impl Checkout {
    /// A new one, which nobody but its owner may look into.
    pub fn new(cloud: &Cloud) -> Self {
        // What a failed check left does not fail the next one too.
        restore(cloud);
        let directory = cloud.state_dir.parent().unwrap().join("checkouts");
        let _ = fs::remove_dir_all(&directory);
        Self::made(directory.join("web"), directory, "attacked_web", "attacked-web")
    }

    /// One of a library, beside it. It goes with this one.
    pub fn sibling(&self, name: &str) -> std::mem::ManuallyDrop<Self> {
        let made = Self::made(self.directory.join(name), self.directory.clone(), name, name);
        std::mem::ManuallyDrop::new(made)
    }

    fn made(root: PathBuf, directory: PathBuf, module: &str, project: &str) -> Self {
        fs::create_dir_all(&root).unwrap();
        let checkout = Self { root, directory };
        let packaged = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/attacks/profiles/templates/web/attacked_web.py");
        let code = fs::read_to_string(packaged).unwrap().replace("packaged", "from a checkout");
        checkout.write(&format!("{module}.py"), &code);
        let cfg = format!("[metadata]\nname = {project}\n[files]\nmodules =\n    {module}\n");
        checkout.write("setup.cfg", &cfg);
        // Git looks again at a file that was empty, whatever its length is now.
        checkout.write("requirements.txt", "# nothing\n");
        shell(&format!(
            "cd '{}' && git init --quiet && git add --all
             git -c user.name=test -c user.email=test@example.org commit --quiet -m import
             chown -R {OWNER}:{OWNER} . && chmod 0700 .",
            checkout.root.display()
        ));
        checkout
    }

    /// Writes a file of it.
    pub fn write(&self, file: &str, text: &str) {
        let file = self.root.join(file);
        fs::write(&file, text).unwrap();
        std::os::unix::fs::chown(&file, Some(OWNER), Some(OWNER)).unwrap();
    }

    /// A file beside it, which is not its own.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// `aio dev web --from` it, detached. What hangs for half a minute fails.
    pub fn swap(&self, cloud: &Cloud, options: &[&str]) -> Finished {
        let from = self.root.to_str().unwrap();
        let arguments = [&["dev", "web", "--from", from, "--detach"], options].concat();
        run(cloud.command(&arguments), Duration::from_secs(30))
    }

    /// As [`Self::swap`], which must be refused with these words.
    pub fn refused(&self, cloud: &Cloud, words: &[&str]) {
        let finished = self.swap(cloud, &[]);
        let all = finished.all();
        restore(cloud);
        assert_ne!(finished.status, 0, "{all}");
        for word in words {
            assert!(all.contains(word), "`{word}` in: {all}");
        }
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Whatever ran: the package again.
pub fn restore(cloud: &Cloud) {
    cloud.run(&["dev", "--restore", "--all"]).ok();
}

/// What the page says.
pub fn page(cloud: &Cloud) -> String {
    let address = cloud.address("web", 1);
    shell(&format!("curl --noproxy '*' --silent --max-time 5 http://{address}:8000/ || true"))
}
