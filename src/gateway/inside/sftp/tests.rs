//! The server as a client of the protocol sees it, in a directory of the host.

use super::*;
use std::os::unix::fs::PermissionsExt;

fn server() -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let (ended, _) = oneshot::channel();
    let home = directory.path().to_owned();
    (directory, Server { home, handles: Handles::default(), _ended: ended })
}

fn path(directory: &tempfile::TempDir, name: &str) -> String {
    directory.path().join(name).display().to_string()
}

fn code<T>(answer: Answer<T>) -> StatusCode {
    answer.err().unwrap().status_code
}

#[tokio::test]
async fn a_file_is_written_read_and_keeps_its_mode() {
    let (directory, mut server) = server();
    let file = path(&directory, "file");
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let mut wanted = FileAttributes::empty();
    wanted.permissions = Some(0o640);
    let handle = server.open(1, file.clone(), flags, wanted.clone()).await.unwrap().handle;
    server.write(2, handle.clone(), 3, b"def".to_vec()).await.unwrap();
    server.write(3, handle.clone(), 0, b"abc".to_vec()).await.unwrap();
    (wanted.permissions, wanted.atime, wanted.mtime) = (Some(0o100_755), Some(7), Some(9));
    server.fsetstat(4, handle.clone(), wanted).await.unwrap();
    server.close(5, handle.clone()).await.unwrap();
    assert_eq!(code(server.close(6, handle).await), StatusCode::Failure);
    let attributes = server.stat(7, file.clone()).await.unwrap().attrs;
    assert_eq!(attributes.permissions, Some(0o100_755));
    assert_eq!((attributes.size, attributes.mtime), (Some(6), Some(9)));

    let empty = FileAttributes::empty();
    let handle = server.open(8, file, OpenFlags::READ, empty).await.unwrap().handle;
    assert_eq!(server.read(9, handle.clone(), 2, 100).await.unwrap().data, b"cdef");
    assert_eq!(code(server.read(10, handle, 6, 100).await), StatusCode::Eof);
}

#[tokio::test]
async fn directories_are_listed_to_their_end_and_links_are_links() {
    let (directory, mut server) = server();
    for number in 0..NAMES_AT_ONCE + 5 {
        std::fs::write(path(&directory, &number.to_string()), "").unwrap();
    }
    server.symlink(1, "0".to_owned(), path(&directory, "link")).await.unwrap();
    let read = server.readlink(2, path(&directory, "link")).await.unwrap();
    assert_eq!(read.files[0].filename, "0");
    let handle = server.opendir(3, path(&directory, "")).await.unwrap().handle;
    let mut all = Vec::new();
    loop {
        match server.readdir(4, handle.clone()).await {
            Ok(name) => all.extend(name.files),
            Err(reply) => {
                assert_eq!(reply.status_code, StatusCode::Eof);
                break;
            }
        }
    }
    assert_eq!(all.len(), NAMES_AT_ONCE + 6);
    let link = all.iter().find(|file| file.filename == "link").unwrap();
    assert!(link.longname.starts_with('l'), "{}", link.longname);
}

#[tokio::test]
async fn a_rename_replaces_only_when_it_is_asked_to() {
    let (directory, mut server) = server();
    let (one, two) = (path(&directory, "one"), path(&directory, "two"));
    std::fs::write(&one, "1").unwrap();
    std::fs::write(&two, "2").unwrap();
    assert_eq!(code(server.rename(1, one.clone(), two.clone()).await), StatusCode::Failure);
    let field = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
    let data = [field(&one), field(&two)].concat();
    server.extended(2, "posix-rename@openssh.com".to_owned(), data).await.unwrap();
    assert_eq!(std::fs::read(&two).unwrap(), b"1");
    let unknown = server.extended(3, "x@y".to_owned(), Vec::new()).await;
    assert_eq!(code(unknown), StatusCode::OpUnsupported);
}

#[tokio::test]
async fn errors_have_the_codes_that_clients_expect() {
    let (directory, mut server) = server();
    let missing = path(&directory, "missing");
    assert_eq!(code(server.stat(1, missing.clone()).await), StatusCode::NoSuchFile);
    assert_eq!(code(server.opendir(2, missing.clone()).await), StatusCode::NoSuchFile);
    let real = server.realpath(3, missing.clone()).await.unwrap();
    assert_eq!(real.files[0].filename, missing);
    assert_eq!(code(server.realpath(4, format!("{missing}/x")).await), StatusCode::NoSuchFile);
    let made = path(&directory, "made");
    server.mkdir(5, made.clone(), FileAttributes::empty()).await.unwrap();
    let opened = server.open(6, made.clone(), OpenFlags::READ, FileAttributes::empty()).await;
    assert_eq!(code(opened), StatusCode::Failure);
    let mode = std::fs::metadata(&made).unwrap().permissions().mode();
    assert_eq!(mode & 0o700, 0o700);
    server.rmdir(7, made).await.unwrap();
}
