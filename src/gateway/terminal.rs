//! Terminals of a container's own: made in its `/dev/pts`, so that programs in it find theirs by
//! name, and held by the gateway, so that nothing stands between it and them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::pty::OpenptFlags;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios,
    Winsize, tcgetattr, tcsetattr, tcsetwinsize,
};
use serde::{Deserialize, Serialize};
use tokio::net::unix::pipe;

use crate::lxc::rooted;

/// The group `tty` of Debian and all that descend from it.
const TTY_GROUP: u32 = 5;

/// What a client wants of its terminal.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Terminal {
    /// For `TERM`.
    pub kind: String,
    /// Its size.
    pub size: Size,
    /// Modes by their numbers in RFC 4254, section 8.
    pub modes: Vec<(u8, u32)>,
}

/// The size of a terminal.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Columns of characters.
    pub columns: u32,
    /// Rows of characters.
    pub rows: u32,
    /// In pixels, 0 when unknown.
    pub width_pixels: u32,
    /// In pixels, 0 when unknown.
    pub height_pixels: u32,
}

impl Size {
    fn to_kernel(self) -> Winsize {
        let short = |number| u16::try_from(number).unwrap_or(u16::MAX);
        Winsize {
            ws_col: short(self.columns),
            ws_row: short(self.rows),
            ws_xpixel: short(self.width_pixels),
            ws_ypixel: short(self.height_pixels),
        }
    }
}

/// Makes a terminal in a running container whose root is user `root` of the host: its master and
/// its slave.
///
/// # Errors
/// When the container has no `/dev/pts`.
pub fn open(init_pid: u32, root: u32, terminal: &Terminal) -> io::Result<(OwnedFd, OwnedFd)> {
    let top = rooted::open_root(Path::new(&format!("/proc/{init_pid}/root")))?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
    let master = rooted::open(top.as_fd(), Path::new("/dev/pts/ptmx"), flags)?;
    rustix::pty::unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    let (owner, group) = (Uid::from_raw(root), Gid::from_raw(root + TTY_GROUP));
    rustix::fs::fchown(&slave, Some(owner), Some(group))?;
    rustix::fs::fchmod(&slave, Mode::from_raw_mode(0o620))?;
    let mut settings = tcgetattr(&slave)?;
    for (mode, value) in &terminal.modes {
        apply(&mut settings, *mode, *value);
    }
    tcsetattr(&slave, OptionalActions::Now, &settings)?;
    resize(&master, terminal.size)?;
    Ok((master, slave))
}

/// Tells the programs on a terminal its new size.
pub fn resize(master: impl AsFd, size: Size) -> io::Result<()> {
    Ok(tcsetwinsize(master, size.to_kernel())?)
}

/// One mode of RFC 4254; those that Linux lacks, and speeds, change nothing.
fn apply(settings: &mut Termios, mode: u8, value: u32) {
    if let Some(index) = special_code(mode) {
        // 255 stands for "none", which Linux writes as 0.
        let code = u8::try_from(value).ok().filter(|code| *code != u8::MAX).unwrap_or(0);
        settings.special_codes[index] = code;
        return;
    }
    let on = value != 0;
    match mode {
        30..=42 => settings.input_modes.set(input_mode(mode), on),
        50..=62 => settings.local_modes.set(local_mode(mode), on),
        70..=75 => settings.output_modes.set(output_mode(mode), on),
        92 => settings.control_modes.set(ControlModes::PARENB, on),
        93 => settings.control_modes.set(ControlModes::PARODD, on),
        _ => {}
    }
}

fn special_code(mode: u8) -> Option<SpecialCodeIndex> {
    Some(match mode {
        1 => SpecialCodeIndex::VINTR,
        2 => SpecialCodeIndex::VQUIT,
        3 => SpecialCodeIndex::VERASE,
        4 => SpecialCodeIndex::VKILL,
        5 => SpecialCodeIndex::VEOF,
        6 => SpecialCodeIndex::VEOL,
        7 => SpecialCodeIndex::VEOL2,
        8 => SpecialCodeIndex::VSTART,
        9 => SpecialCodeIndex::VSTOP,
        10 => SpecialCodeIndex::VSUSP,
        12 => SpecialCodeIndex::VREPRINT,
        13 => SpecialCodeIndex::VWERASE,
        14 => SpecialCodeIndex::VLNEXT,
        18 => SpecialCodeIndex::VDISCARD,
        _ => return None,
    })
}

fn input_mode(mode: u8) -> InputModes {
    match mode {
        30 => InputModes::IGNPAR,
        31 => InputModes::PARMRK,
        32 => InputModes::INPCK,
        33 => InputModes::ISTRIP,
        34 => InputModes::INLCR,
        35 => InputModes::IGNCR,
        36 => InputModes::ICRNL,
        37 => InputModes::IUCLC,
        38 => InputModes::IXON,
        39 => InputModes::IXANY,
        40 => InputModes::IXOFF,
        41 => InputModes::IMAXBEL,
        42 => InputModes::IUTF8,
        _ => InputModes::empty(),
    }
}

fn local_mode(mode: u8) -> LocalModes {
    match mode {
        50 => LocalModes::ISIG,
        51 => LocalModes::ICANON,
        52 => LocalModes::XCASE,
        53 => LocalModes::ECHO,
        54 => LocalModes::ECHOE,
        55 => LocalModes::ECHOK,
        56 => LocalModes::ECHONL,
        57 => LocalModes::NOFLSH,
        58 => LocalModes::TOSTOP,
        59 => LocalModes::IEXTEN,
        60 => LocalModes::ECHOCTL,
        61 => LocalModes::ECHOKE,
        62 => LocalModes::PENDIN,
        _ => LocalModes::empty(),
    }
}

fn output_mode(mode: u8) -> OutputModes {
    match mode {
        70 => OutputModes::OPOST,
        71 => OutputModes::OLCUC,
        72 => OutputModes::ONLCR,
        73 => OutputModes::OCRNL,
        74 => OutputModes::ONOCR,
        75 => OutputModes::ONLRET,
        _ => OutputModes::empty(),
    }
}

/// The gateway's side of a terminal.
pub struct Master(OwnedFd);

impl Master {
    /// Holds it.
    pub fn new(master: OwnedFd) -> Self {
        Self(master)
    }

    /// What comes from the programs, and what goes to them. The library's pipes do all that a
    /// terminal needs. Reading fails when nobody has the slave open any more.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn streams(&self) -> io::Result<(pipe::Receiver, pipe::Sender)> {
        let source = pipe::Receiver::from_owned_fd_unchecked(self.0.try_clone()?)?;
        Ok((source, pipe::Sender::from_owned_fd_unchecked(self.0.try_clone()?)?))
    }

    /// Tells the programs the new size.
    ///
    /// # Errors
    /// When it is gone.
    pub fn resize(&self, size: Size) -> io::Result<()> {
        resize(&self.0, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn pair() -> (OwnedFd, OwnedFd) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::io::ioctl_fionbio(&master, true).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
        (master, slave)
    }

    #[test]
    fn modes_are_those_of_the_client() {
        let (_master, slave) = pair();
        let mut settings = tcgetattr(&slave).unwrap();
        for (mode, value) in [(3, 8), (2, 255), (53, 0), (42, 1), (72, 0), (128, 9600), (0, 0)] {
            apply(&mut settings, mode, value);
        }
        assert_eq!(settings.special_codes[SpecialCodeIndex::VERASE], 8);
        assert_eq!(settings.special_codes[SpecialCodeIndex::VQUIT], 0);
        assert!(!settings.local_modes.contains(LocalModes::ECHO));
        assert!(settings.local_modes.contains(LocalModes::ICANON), "untouched");
        assert!(settings.input_modes.contains(InputModes::IUTF8));
        assert!(!settings.output_modes.contains(OutputModes::ONLCR));
    }

    #[tokio::test]
    async fn a_master_carries_both_ways_and_ends_with_its_last_user() {
        let (master, slave) = pair();
        let master = Master::new(master);
        let (mut source, mut sink) = master.streams().unwrap();
        master.resize(Size { columns: 101, rows: 7, ..Size::default() }).unwrap();
        let size = rustix::termios::tcgetwinsize(&slave).unwrap();
        assert_eq!((size.ws_col, size.ws_row), (101, 7));
        let mut slave = tokio::fs::File::from_std(slave.into());
        sink.write_all(b"typed\n").await.unwrap();
        let mut text = [0; 6];
        slave.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"typed\n");
        slave.write_all(b"shown").await.unwrap();
        slave.flush().await.unwrap();
        drop(slave);
        let mut all = Vec::new();
        assert!(source.read_to_end(&mut all).await.is_err());
        assert!(all.ends_with(b"shown"), "{all:?}");
    }
}
