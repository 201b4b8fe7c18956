//! A service's profile, as a contributor or a stranger writes one: refused or good, never a panic.
#![no_main]

use aio::for_tests::Profiles;
use libfuzzer_sys::fuzz_target;

const BASE: &str = "\
service: base
summary: x
containers:
  balancer: {summary: x, memory: {idle_mib: 1, limit_mib: 2}}
load_balancer: {kind: balancer, socket: /x, server_defaults: {http: a, tcp: b}}
frontends:
  - {name: base, port: 80, mode: http, backend: balancer, server_options: check}
";

fuzz_target!(|text: &str| {
    // The file must be called as the service is.
    let service = text.lines().find_map(|line| line.strip_prefix("service: ")).unwrap_or("heat");
    let path = format!("services/{}.yml", service.trim());
    let files = [("services/base.yml", BASE), (path.as_str(), text)];
    if let Ok(profiles) = Profiles::from_texts(files) {
        let _ = profiles.check(&|_| Ok(()));
    }
});
