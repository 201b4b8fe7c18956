//! What the built-in profiles' files say, for every container of every scenario.

use std::collections::BTreeSet;

use super::Renderer;
use super::builtin_tests::{
    changed_scenario, each_everywhere, each_scenario, exposed, files, secret_value,
};
use crate::config::oslo::Ini;
use crate::config::profile::Merge;
use crate::config::scenario::Scenario;
use crate::model::cloud::{Certified, Cloud, Outside};
use crate::model::file::ContainerFile;

/// Calls `test` with every rendered file and whether it takes overrides.
fn each_file(mut test: impl FnMut(&Cloud, &ContainerFile, &str, Merge)) {
    each_scenario(|cloud, renderer| {
        for container in &cloud.containers {
            for file in files(cloud, container) {
                let rendered = renderer.render_file(container, file).unwrap();
                let text = String::from_utf8(rendered.content.clone()).unwrap();
                test(cloud, &rendered, &text, file.merge);
            }
        }
    });
}

/// The file of that path in the first member of a kind.
fn text_of(cloud: &Cloud, renderer: &Renderer, kind: &str, path: &str) -> String {
    let container = cloud.members(kind).next().unwrap();
    let file = files(cloud, container).into_iter().find(|file| file.path == path).unwrap();
    String::from_utf8(renderer.render_file(container, file).unwrap().content).unwrap()
}

/// What oslo.config makes of a value: `$$` stands for `$`.
fn value(text: &str, section: &str, key: &str) -> String {
    let values = Ini::parse(text).unwrap().values(section, key);
    assert_eq!(values.len(), 1, "[{section}] {key}");
    values[0].replace("$$", "$")
}

#[test]
fn no_daemon_listens_on_every_address() {
    each_file(|_, file, text, _| {
        for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', '%'])) {
            for everywhere in ["0.0.0.0", "[::]", "*:"] {
                assert!(!line.contains(everywhere), "{}: {line}", file.path);
            }
        }
    });
}

#[test]
fn nobody_else_reads_a_file_with_a_secret() {
    each_file(|_, file, text, _| {
        // Whole or percent-encoded: both begin so.
        if text.contains("s3cret") {
            assert_eq!(file.mode & 0o007, 0, "{} has mode {:o}", file.path, file.mode);
        }
    });
}

/// Options that are given once for each of their values.
const SEVERAL: [&str; 2] = ["messaging_urls", "notification_control_exchanges"];

#[test]
fn a_section_and_a_key_stand_once_in_an_oslo_file() {
    each_file(|_, file, text, merge| {
        if merge != Merge::Ini {
            return;
        }
        let headers: Vec<&str> = text.lines().filter(|line| line.starts_with('[')).collect();
        assert_eq!(headers.iter().collect::<BTreeSet<_>>().len(), headers.len(), "{}", file.path);
        let ini = Ini::parse(text).unwrap();
        let mut seen = BTreeSet::new();
        for key in ini.keys() {
            let several = SEVERAL.contains(&key.1);
            assert!(seen.insert(key) || several, "{}: {key:?} stands twice", file.path);
        }
    });
}

#[test]
fn a_secret_that_is_hard_to_quote_arrives_as_it_is() {
    each_scenario(|cloud, renderer| {
        let heat = text_of(cloud, renderer, "heat_engine", "/etc/heat/heat.conf");
        let service = secret_value("heat_service_password");
        assert_eq!(value(&heat, "keystone_authtoken", "password"), service);
        assert_eq!(value(&heat, "trustee", "password"), service);
        let domain = value(&heat, "DEFAULT", "stack_domain_admin_password");
        assert_eq!(domain, secret_value("heat_stack_domain_admin_password"));
        let urls =
            value(&heat, "DEFAULT", "transport_url") + &value(&heat, "database", "connection");
        assert!(!urls.contains(['\'', '"', '$', '\\']), "{urls}");

        let path = "/root/.config/openstack/clouds.yaml";
        let clouds: serde_yaml::Value =
            serde_yaml::from_str(&text_of(cloud, renderer, "utility", path)).unwrap();
        let admin = secret_value("keystone_auth_admin_password");
        assert_eq!(clouds["clouds"]["default"]["auth"]["password"], admin.as_str());
        let openrc = text_of(cloud, renderer, "utility", "/root/openrc");
        let quoted = admin.replace('\'', "'\\''");
        assert!(openrc.contains(&format!("export OS_PASSWORD='{quoted}'\n")), "{openrc}");
        assert!(openrc.contains(":5000/v3\n"));
    });
}

#[test]
fn every_queue_has_its_user_and_its_permission() {
    each_scenario(|cloud, renderer| {
        let path = "/etc/rabbitmq/definitions.json";
        let text = text_of(cloud, renderer, "rabbit_mq", path);
        let definitions: serde_json::Value = serde_json::from_str(&text).unwrap();
        let names = |list: &str, field: &str| -> BTreeSet<String> {
            let list = definitions[list].as_array().unwrap().iter();
            list.map(|entry| entry[field].as_str().unwrap().to_owned()).collect()
        };
        for queue in cloud.services.iter().flat_map(|service| &service.queues) {
            assert!(names("vhosts", "name").contains(&queue.vhost));
            assert!(names("users", "name").contains(&queue.user));
            assert!(names("permissions", "user").contains(&queue.user));
            for limited in &queue.limited {
                assert!(names("users", "name").contains(&limited.user));
                assert!(names("permissions", "configure").contains(&limited.configure));
                assert_eq!(
                    names("topic_permissions", "user").contains(&limited.user),
                    !limited.topics.is_empty()
                );
            }
            for binding in &queue.bindings {
                assert!(
                    names("exchanges", "name")
                        .is_superset(&[binding.from.clone(), binding.to.clone()].into())
                );
                assert!(names("bindings", "routing_key").contains(&binding.key));
            }
        }
    });
}

/// The dashboard's settings, and what else of the cloud depends on how it is reached from outside.
fn outward(cloud: &Cloud, renderer: &Renderer) -> [String; 5] {
    [
        ("haproxy", "/etc/haproxy/haproxy.cfg"),
        ("haproxy", "/etc/haproxy/outside.pem"),
        (
            "horizon",
            "{{ cloud.python_path }}/openstack_dashboard/local/local_settings.d/_99_aio.py",
        ),
        ("nova_api_os_compute", "/etc/nova/nova.conf"),
        ("utility", "/root/.config/openstack/clouds.yaml"),
    ]
    .map(|(kind, path)| text_of(cloud, renderer, kind, path))
}

/// Of the cloud at 192.0.2.7.
fn outside(certificate: Option<&str>) -> Outside {
    Outside {
        host: "192.0.2.7".to_owned(),
        names: vec!["192.0.2.7".to_owned(), "*.example.org".to_owned()],
        certificate: certificate.map(str::to_owned),
        authority: certificate.map(|_| "the authority".to_owned()),
    }
}

#[test]
fn what_is_reached_from_outside_speaks_tls() {
    exposed(Some(outside(Some("the certificate"))), |cloud, renderer| {
        let [balancer, pem, dashboard, nova, clouds] = outward(cloud, renderer);
        let door = cloud.outside_door().unwrap();
        let outer: Vec<&str> =
            balancer.lines().filter(|line| line.contains(&format!("bind {door}:"))).collect();
        let exposed = cloud.frontends().filter(|(_, frontend)| frontend.expose).count();
        assert_eq!(outer.len(), exposed);
        for line in outer {
            assert!(line.contains(" ssl crt /etc/haproxy/outside.pem"), "{line}");
        }
        assert!(balancer.contains(&format!("bind {door}:443 ssl")));
        assert!(pem.contains("the certificate with its key"));
        assert!(dashboard.contains("\"192.0.2.7\","), "{dashboard}");
        assert!(dashboard.contains("\".example.org\","), "{dashboard}");
        assert!(nova.contains("novncproxy_base_url = https://192.0.2.7:6080/vnc_lite.html"));
        let clouds: serde_yaml::Value = serde_yaml::from_str(&clouds).unwrap();
        assert_eq!(clouds["clouds"]["outside"]["auth"]["auth_url"], "https://192.0.2.7:5000/v3");
        assert!(clouds["clouds"]["outside"]["cacert"].as_str().is_some());
        let inside = clouds["clouds"]["default"]["auth"]["auth_url"].as_str().unwrap();
        assert!(inside.starts_with("http://"), "{inside}");
        for container in &cloud.containers {
            let bundle = "/etc/ssl/certs/ca-certificates.crt";
            let file = files(cloud, container).into_iter().find(|file| file.path == bundle);
            let trusted = renderer.render_file(container, file.unwrap()).unwrap();
            assert_eq!(trusted.content, b"the authority\n");
        }
    });
}

#[test]
fn in_clear_it_is_the_same_without_certificates_and_not_exposed_there_is_none() {
    exposed(Some(outside(None)), |cloud, renderer| {
        let [balancer, pem, _, nova, clouds] = outward(cloud, renderer);
        let door = cloud.outside_door().unwrap();
        assert!(
            balancer.contains(&format!("bind {door}:80 maxconn")) && !balancer.contains("ssl crt")
        );
        assert!(!pem.contains("key"), "{pem}");
        assert!(nova.contains("novncproxy_base_url = http://192.0.2.7:6080/vnc_lite.html"));
        assert!(clouds.contains("http://192.0.2.7:5000/v3") && !clouds.contains("cacert"));
    });
    exposed(None, |cloud, renderer| {
        let [balancer, pem, dashboard, nova, clouds] = outward(cloud, renderer);
        let door = cloud.outside_door().unwrap();
        assert!(!balancer.contains(&door.to_string()));
        assert!(!pem.contains("key") && !clouds.contains("outside:"));
        assert!(!dashboard.contains("\"*\""), "{dashboard}");
        let inside = cloud.networks.virtual_address;
        assert!(nova.contains(&format!("novncproxy_base_url = http://{inside}:6080")));
    });
}

#[test]
fn no_client_is_believed_what_it_says_of_itself() {
    each_scenario(|cloud, renderer| {
        let text = text_of(cloud, renderer, "haproxy", "/etc/haproxy/haproxy.cfg");
        let sections: Vec<&str> = text.split("\nlisten ").skip(1).collect();
        let of_http = sections.iter().filter(|section| {
            section.lines().next().unwrap().ends_with(" from http")
                && !section.starts_with("statistics ")
        });
        for section in of_http {
            let line = |wanted: &str| section.lines().position(|line| line.trim() == wanted);
            let dropped = section.lines().position(|line| {
                line.trim().starts_with("http-request del-header ^x[-_](forwarded[-_]|")
            });
            let told = line("http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]");
            assert!(dropped.is_some() && dropped < told, "{section}");
            assert!(line("http-request del-header Forwarded").is_some(), "{section}");
        }
    });
}

#[test]
fn a_database_server_has_a_user_of_its_own_who_cannot_act_as_the_service() {
    let mut seen = 0;
    each_scenario(|cloud, renderer| {
        let Some(trove) = cloud.services.iter().find(|service| service.service == "trove") else {
            return;
        };
        let path = "/etc/trove/trove-guestagent.conf";
        let text = text_of(cloud, renderer, "trove_taskmanager", path);
        let queue = &trove.queues[0];
        assert!(!text.contains(&secret_value(&queue.secret)), "{text}");
        let guest = &queue.limited[0];
        assert!(value(&text, "DEFAULT", "transport_url").contains(&format!("//{}:", guest.user)));
        let exchange = value(&text, "DEFAULT", "control_exchange");
        let may = |pattern: &str, name: &str| regex::Regex::new(pattern).unwrap().is_match(name);
        let ours = text_of(cloud, renderer, "trove_api", "/etc/trove/trove.conf");
        let taskmanager = value(&ours, "DEFAULT", "taskmanager_queue");
        assert!(
            taskmanager.ends_with(&secret_value("trove_taskmanager_queue")),
            "it cannot be guessed"
        );
        for name in ["guestagent.1", "guestagent.1.1", "guestagent.1_fanout", &exchange] {
            assert!(
                may(&guest.configure, name) && may(&guest.write, name) && may(&guest.read, name),
                "{name}"
            );
        }
        for name in [
            "trove",
            "trove-conductor",
            "trove-conductor.a",
            &taskmanager,
            "reply_a:trove-api:1",
            "x.guestagent.1",
        ] {
            assert!(
                !may(&guest.configure, name) && !may(&guest.write, name) && !may(&guest.read, name),
                "{name}"
            );
        }
        seen += 1;
    });
    assert!(seen > 0);
}

#[test]
fn one_database_member_serves_and_the_virtual_address_alone_is_bound() {
    each_scenario(|cloud, renderer| {
        let text = text_of(cloud, renderer, "haproxy", "/etc/haproxy/haproxy.cfg");
        let servers: Vec<&str> =
            text.lines().filter(|line| line.contains("server aio1_galera_")).collect();
        assert_eq!(servers.len(), cloud.members("galera").count());
        for (index, server) in servers.iter().enumerate() {
            assert_eq!(server.ends_with(" backup"), index > 0, "{server}");
        }
        let address = cloud.networks.virtual_address;
        for frontend in cloud.frontends().map(|(_, frontend)| frontend) {
            let section = format!("listen {} from ", frontend.name);
            let (_, rest) = text.split_once(&section).unwrap();
            let bind = rest.lines().nth(1).unwrap().trim();
            assert_eq!(bind, format!("bind {address}:{}", frontend.port));
        }
    });
}

#[test]
fn where_everything_speaks_tls_nothing_is_asked_in_clear() {
    each_everywhere(|cloud, renderer| {
        let clear = format!("http://{}", cloud.networks.virtual_address);
        for container in &cloud.containers {
            for file in files(cloud, container) {
                let rendered = renderer.render_file(container, file).unwrap();
                let text = String::from_utf8(rendered.content).unwrap();
                let path = &rendered.path;
                assert!(!text.contains(&clear), "{path}: {text}");
                for line in text.lines().filter(|line| line.contains("mysql+pymysql://")) {
                    assert!(line.contains("&ssl_ca="), "{path}: {line}");
                }
                if path.ends_with(".cloudinit") {
                    let read: serde_json::Value = serde_yaml::from_str(&text).unwrap();
                    assert_eq!(read["ca_certs"]["trusted"][0], "the authority\nof two lines\n");
                }
                if text.contains("rabbit://") && file.merge == Merge::Ini {
                    let tls =
                        |key: &str| Ini::parse(&text).unwrap().values("oslo_messaging_rabbit", key);
                    assert_eq!(tls("ssl"), ["true"], "{path}");
                    assert_eq!(tls("ssl_ca_file").len(), 1, "{path}");
                }
                if text.contains("pem of ") {
                    assert!(text.contains(&format!("pem of {}\n", container.name)), "{path}");
                    assert_eq!(rendered.mode & 0o007, 0, "{path} has mode {:o}", rendered.mode);
                }
            }
        }
    });
}

#[test]
fn every_frontend_shows_a_certificate_where_everything_speaks_tls() {
    each_everywhere(|cloud, renderer| {
        let text = text_of(cloud, renderer, "haproxy", "/etc/haproxy/haproxy.cfg");
        let address = cloud.networks.virtual_address;
        let binds = text.lines().map(str::trim).filter(|line| line.starts_with("bind "));
        let open: Vec<&str> = binds
            .filter(|line| line.contains(&format!(" {address}:")) && !line.contains(" ssl crt "))
            .collect();
        // Their members speak it themselves.
        assert_eq!(open, [format!("bind {address}:3306"), format!("bind {address}:5672")]);
        let balancer = cloud.members("haproxy").next().unwrap();
        let mut certified = cloud.certified();
        let names = certified.remove(&balancer.name).unwrap().addresses;
        assert_eq!(
            names,
            [balancer.management_address().unwrap(), address].map(|it| it.to_string())
        );
        for (name, Certified { addresses: names, peer }) in certified {
            let container = cloud.container(&name).unwrap();
            assert!(["galera", "rabbit_mq"].contains(&container.kind.as_str()), "{name}");
            assert_eq!(peer, container.kind == "galera");
            assert!(names.contains(&address.to_string()), "{name} answers at the virtual address");
        }
        if let Some((_, frontend)) = cloud.frontends().find(|(_, it)| it.name == "horizon") {
            assert_eq!(cloud.url(frontend), format!("https://{address}"));
        }
    });
}

#[test]
fn volumes_stand_in_ceph_unless_a_volume_group_is_asked_for() {
    for (wanted, driver) in [("rbd", "rbd.RBDDriver"), ("lvm", "lvm.LVMVolumeDriver")] {
        let change = |scenario: &mut Scenario| {
            for kind in ["ceph", "cinder_api", "cinder_scheduler", "cinder_volume"] {
                scenario.members.insert(kind.to_owned(), 1);
            }
            scenario.variables.insert("cinder_backend".to_owned(), wanted.into());
        };
        changed_scenario(change, |cloud, renderer| {
            let text = text_of(cloud, renderer, "cinder_volume", "/etc/cinder/cinder.conf");
            assert_eq!(value(&text, "DEFAULT", "enabled_backends"), wanted);
            assert_eq!(value(&text, "DEFAULT", "default_volume_type"), wanted);
            assert_eq!(value(&text, wanted, "volume_backend_name"), wanted);
            let full = format!("cinder.volume.drivers.{driver}");
            assert_eq!(value(&text, wanted, "volume_driver"), full);
            let ini = Ini::parse(&text).unwrap();
            let uuid = ini.values("rbd", "rbd_secret_uuid");
            assert_eq!(uuid.len(), usize::from(wanted == "rbd"));
            let group = ini.values("lvm", "volume_group");
            assert_eq!(group.len(), usize::from(wanted == "lvm"));

            let monitor = cloud.members("ceph").next().unwrap().management_address().unwrap();
            let ceph = text_of(cloud, renderer, "cinder_volume", "/etc/ceph/ceph.conf");
            assert!(ceph.contains(&format!("mon_host = {monitor}\n")), "{ceph}");
        });
    }
}
