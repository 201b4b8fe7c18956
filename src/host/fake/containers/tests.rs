use super::*;
use crate::model::topology::{Data, tests::container};

fn galera() -> Container {
    let mut galera = container("galera/1");
    galera.units = vec!["mariadb.service".to_owned()];
    galera.data = vec![Data {
        path: "/var/lib/mysql".to_owned(),
        owner: "mysql:mysql".to_owned(),
        mode: "0750".to_owned(),
        from_image: true,
        precious: true,
        keep: false,
        source: "/data".to_owned(),
    }];
    galera
}

fn file(path: &str) -> ContainerFile {
    ContainerFile {
        path: path.to_owned(),
        owner: "root:root".to_owned(),
        mode: 0o600,
        content: b"x".to_vec(),
    }
}

#[tokio::test]
async fn enabled_units_come_back_with_the_container() {
    let fake = FakeContainers::default();
    let galera = galera();
    let name = &galera.name;
    fake.define(&galera).await.unwrap();
    fake.start(name).await.unwrap();
    let enable = format!("ln -sfn x {WANTS}mariadb.service\nsystemctl start mariadb.service");
    assert!(fake.run(name, Command::shell(enable)).await.unwrap().success());
    let masked = fake.run(name, Command::shell("systemctl start other.service")).await;
    assert!(masked.unwrap().tail(1).contains("masked"));
    fake.kill(name);
    assert_eq!(fake.state(name).await.unwrap(), ContainerState::Stopped);
    fake.start(name).await.unwrap();
    assert_eq!(fake.active_units(name, &galera.units).await.unwrap(), [true]);
    assert!(fake.path_exists(name, &format!("{WANTS}mariadb.service")).await.unwrap());
}

#[tokio::test]
async fn data_outlives_a_root_that_was_destroyed() {
    let fake = FakeContainers::default();
    let galera = galera();
    let name = &galera.name;
    fake.define(&galera).await.unwrap();
    let files = [file("/etc/x"), file("/var/lib/mysql/x")];
    fake.write_files(name, &files).await.unwrap();
    fake.destroy(name);
    assert!(fake.definition_differs(&galera).await.unwrap().is_some());
    fake.define(&galera).await.unwrap();
    assert_eq!(fake.read_file(name, "/etc/x").await.unwrap(), None);
    assert_eq!(fake.read_file(name, "/var/lib/mysql/x").await.unwrap().as_ref(), files.get(1));
    fake.discard_data(&galera).await.unwrap();
    assert_eq!(fake.read_file(name, "/var/lib/mysql/x").await.unwrap(), None);
}

#[tokio::test]
async fn the_nth_call_fails_and_only_that() {
    let fake = FakeContainers::default();
    let galera = galera();
    fake.define(&galera).await.unwrap();
    fake.fail("start", 2, "no memory");
    fake.start(&galera.name).await.unwrap();
    assert!(fake.discard(&galera.name).await.is_err());
    assert!(fake.start(&galera.name).await.unwrap_err().to_string().contains("no memory"));
    fake.start(&galera.name).await.unwrap();
    assert_eq!(fake.changes().iter().filter(|call| call.starts_with("start")).count(), 3);
}
