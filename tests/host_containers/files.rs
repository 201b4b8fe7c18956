//! Files of running and of stopped containers.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use aio::for_tests::{ContainerFile, Containers};

use crate::bench::{bench, run};

fn file(path: &str, owner: &str, mode: u32, content: &[u8]) -> ContainerFile {
    ContainerFile {
        path: path.to_owned(),
        owner: owner.to_owned(),
        mode,
        content: content.to_vec(),
    }
}

#[test]
fn files_are_written_and_read_alike_in_both_states() {
    let bench = bench();
    run(async {
        let mut container = bench.container("files");
        container.data = vec![bench.data(&container, "/srv/data", "memcache:memcache")];
        bench.containers.define(&container).await.unwrap();
        let name = &container.name;
        let containers = &bench.containers;
        let files = [
            file("/etc/new/deep/plain.conf", "root:root", 0o644, b"one\0two\n"),
            file("/etc/memcached.conf", "memcache:adm", 0o640, b"-m 64\n"),
            file("/srv/data/inside", "memcache:memcache", 0o600, b"data"),
            file("/etc/empty", "root:root", 0o600, b""),
        ];
        for round in ["stopped", "running", "stopped again"] {
            if round == "running" {
                containers.start(name).await.unwrap();
            }
            let mut files = files.clone();
            files[0].content.extend(round.as_bytes());
            containers.write_files(name, &files).await.unwrap();
            for wanted in &files {
                let found = containers.read_file(name, &wanted.path).await.unwrap();
                assert_eq!(found.as_ref(), Some(wanted), "{round}");
            }
            assert_eq!(containers.read_file(name, "/etc/none").await.unwrap(), None);
            assert_eq!(containers.read_file(name, "/etc/empty/x").await.unwrap(), None);
            if round == "running" {
                let seen = bench.sh(&container, "stat -c '%U:%G %a' /etc/memcached.conf").await;
                assert_eq!(seen, "memcache:adm 640");
                // What a container removes is not read from the layers afterwards.
                bench.sh(&container, "rm /etc/empty /etc/issue; ln -s issue.net /etc/issue").await;
                bench.kill(&container).await;
                assert_eq!(containers.read_file(name, "/etc/empty").await.unwrap(), None);
                let link = containers.read_file(name, "/etc/issue").await.unwrap().unwrap();
                assert_eq!(link.content, std::fs::read(issue(&bench)).unwrap());
            }
        }
        // Data is on the host, with the ids of the container.
        let metadata = Path::new(&container.data[0].source).join("inside").metadata().unwrap();
        let passwd = containers.read_file(name, "/etc/passwd").await.unwrap().unwrap();
        let passwd = String::from_utf8(passwd.content).unwrap();
        let expected = format!("memcache:x:{}:{}", metadata.uid(), metadata.gid());
        assert!(passwd.contains(&expected), "{expected}");
        let error = containers
            .write_files(name, &[file("/etc/x", "nobody-knows:root", 0o600, b"")])
            .await
            .unwrap_err();
        assert!(error.to_string().contains("nobody-knows"), "{error}");
    });
}

fn issue(bench: &crate::bench::Bench) -> std::path::PathBuf {
    let base = bench.container("x").layers[1].clone();
    bench.paths.layers_dir().join(base).join("root/etc/issue.net")
}

#[test]
fn links_made_inside_do_not_lead_out() {
    let bench = bench();
    run(async {
        let container = bench.container("links");
        bench.containers.define(&container).await.unwrap();
        let upper = bench.upper(&container);
        let outside = bench.paths.state_dir.join("outside");
        std::fs::create_dir_all(&outside).unwrap();
        std::fs::write(outside.join("secret"), "of the host").unwrap();
        symlink(&outside, upper.join("etc/out")).unwrap();
        let name = &container.name;
        let path = "/etc/out/secret";
        for running in [false, true] {
            if running {
                bench.containers.start(name).await.unwrap();
            }
            assert_eq!(bench.containers.read_file(name, path).await.unwrap(), None);
            if running {
                assert!(!bench.containers.path_exists(name, path).await.unwrap());
            }
        }
        let written = file(path, "root:root", 0o600, b"of the container");
        let result = bench.containers.write_files(name, std::slice::from_ref(&written)).await;
        assert!(result.is_err(), "a dangling link is no directory");
        bench
            .sh(&container, "mkdir -p /run/app && ln -s /run/app /etc/app && touch /run/app/socket")
            .await;
        assert!(bench.containers.path_exists(name, "/etc/app/socket").await.unwrap());
        let place = bench.containers.host_path(name, "/etc/app/socket").await.unwrap();
        assert!(place.ends_with("root/run/app/socket"), "{}", place.display());
        bench.kill(&container).await;
        bench
            .containers
            .write_files(name, &[file("/etc/x", "root:root", 0o600, b"")])
            .await
            .unwrap();
        assert_eq!(std::fs::read(outside.join("secret")).unwrap(), b"of the host");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    });
}

#[test]
fn what_the_kernel_says_is_no_file_of_a_container() {
    let bench = bench();
    run(async {
        let container = bench.container("kernel");
        bench.up(&container).await;
        bench
            .sh(
                &container,
                "ln -s /proc/version /etc/linked; touch /etc/mounted; \
                 mount --bind /proc/1/environ /etc/mounted; ln -s /sys/kernel/mm /etc/mm",
            )
            .await;
        let read = async |path| bench.containers.read_file(&container.name, path).await;
        for path in ["/etc/linked", "/etc/mounted", "/etc/mm/transparent_hugepage/enabled"] {
            let error = read(path).await.unwrap_err();
            assert!(error.causes.join(" ").contains("the kernel's"), "{path}: {error}");
        }
        assert!(read("/etc/passwd").await.unwrap().is_some());
        bench.kill(&container).await;
    });
}

#[test]
fn a_socket_is_the_containers_own_and_a_link_to_the_hosts_is_none() {
    let bench = bench();
    run(async {
        let container = bench.container("sockets");
        bench.up(&container).await;
        let place = tempfile::tempdir_in("/run").unwrap();
        let socket = place.path().join("host.sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = std::io::Write::write_all(&mut stream, b"the host's");
            }
        });
        let host = place.path().display();
        bench
            .sh(&container, &format!("ln -s {host}/host.sock /run/a.sock; ln -s {host} /run/b"))
            .await;
        for path in ["/run/a.sock", "/run/b/host.sock", "/etc/passwd"] {
            let answer = bench.containers.socket(&container.name, path, "hello\n").await;
            answer.unwrap_err();
        }
        bench.kill(&container).await;
    });
}
