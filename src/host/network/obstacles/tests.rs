use super::*;
use crate::config::network::NetworkRole;
use crate::model::facts::NetworkFacts;
use crate::model::firewall::sentences;
use crate::model::ranges;
use crate::model::topology::Network;

/// What Docker's table looks like through `nft -j`, cut to what matters; `more` are further rules.
fn docker(more: &str) -> String {
    format!(
        r#"{{"nftables": [{{"metainfo": {{"version": "1.1.3"}}}},
        {{"table": {{"family": "ip", "name": "filter", "handle": 1}}}},
        {{"chain": {{"family": "ip", "table": "filter", "name": "DOCKER", "handle": 1}}}},
        {{"chain": {{"family": "ip", "table": "filter", "name": "FORWARD", "handle": 2,
          "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}}}},
        {{"rule": {{"family": "ip", "table": "filter", "chain": "FORWARD", "handle": 3, "expr": [
          {{"counter": {{"packets": 0, "bytes": 0}}}}, {{"jump": {{"target": "DOCKER-USER"}}}}]}}}},
        {{"rule": {{"family": "ip", "table": "filter", "chain": "DOCKER-CT", "handle": 4, "expr": [
          {{"match": {{"op": "==", "left": {{"meta": {{"key": "oifname"}}}}, "right": "docker0"}}}},
          {{"xt": null}}, {{"accept": null}}]}}}}{more}]}}"#
    )
}

fn accept_rule(key: &str, name: &str) -> String {
    format!(
        r#", {{"rule": {{"family": "ip", "table": "filter", "chain": "DOCKER-USER", "handle": 9,
        "expr": [{{"match": {{"op": "==", "left": {{"meta": {{"key": "{key}"}}}},
        "right": "{name}"}}}}, {{"counter": {{"packets": 0, "bytes": 0}}}}, {{"accept": null}}]}}}}"#
    )
}

const FIREWALLD: &str = r#"{"nftables": [
    {"chain": {"family": "inet", "table": "firewalld", "name": "filter_FORWARD", "handle": 2,
      "type": "filter", "hook": "forward", "prio": 10, "policy": "accept"}},
    {"rule": {"family": "inet", "table": "firewalld", "chain": "filter_FORWARD", "handle": 3, "expr": [
      {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}},
      {"accept": null}]}},
    {"rule": {"family": "inet", "table": "firewalld", "chain": "filter_FORWARD", "handle": 4, "expr": [
      {"reject": {"type": "icmpx", "expr": "admin-prohibited"}}]}}TRUSTED]}"#;

const TRUSTED: &str = r#",
    {"rule": {"family": "inet", "table": "firewalld", "chain": "filter_FORWARD_ZONES", "handle": 5, "expr": [
      {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "aio1-nat"}},
      {"goto": {"target": "filter_FWD_trusted"}}]}}"#;

fn networks() -> Vec<Network> {
    let choice = ranges::choose("aio1", &Default::default(), &NetworkFacts::default());
    choice.unwrap().networks.networks
}

#[test]
fn dockers_drop_is_named_and_that_it_is_opened() {
    let chains = nft_chains(&docker(""));
    assert_eq!(chains.len(), 1);
    assert_eq!(chains[0].owner, "docker");
    assert_eq!(chains[0].otherwise, "drop");
    let all = sentences("aio1", &networks(), false, &chains);
    assert_eq!(
        all,
        ["Docker's firewall cuts the containers off: `ip filter FORWARD` drops what no rule lets \
          through. `aio bootstrap` lets this cloud's packets through, `aio destroy` ends that."]
    );
}

#[test]
fn an_unknown_firewall_is_the_users() {
    let mut chains = nft_chains(&docker(""));
    chains[0].owner = "unknown".to_owned();
    let all = sentences("aio1", &networks(), false, &chains);
    assert!(all[0].ends_with("accept packets from and to the interfaces aio1-*."), "{all:?}");
}

#[test]
fn both_directions_open_end_the_obstacle() {
    let half = nft_chains(&docker(&accept_rule("iifname", "aio1-*")));
    assert_eq!(sentences("aio1", &networks(), false, &half).len(), 1, "answers are dropped");
    let more = accept_rule("iifname", "aio1-*") + &accept_rule("oifname", "aio1-*");
    let whole = nft_chains(&docker(&more));
    assert!(sentences("aio1", &networks(), true, &whole).is_empty());
    // Another cloud's bridges are not meant.
    assert_eq!(sentences("aio2", &[], false, &whole).len(), 1);
}

#[test]
fn firewalld_rejects_until_the_bridge_is_trusted() {
    let chains = nft_chains(&FIREWALLD.replace("TRUSTED", ""));
    assert_eq!((chains[0].owner.as_str(), chains[0].otherwise.as_str()), ("firewalld", "reject"));
    assert!(chains[0].accepts_answers);
    let all = sentences("aio1", &networks(), false, &chains);
    assert!(all[0].starts_with("firewalld cuts the containers off"), "{all:?}");
    let trusted = nft_chains(&FIREWALLD.replace("TRUSTED", TRUSTED));
    assert!(sentences("aio1", &networks(), false, &trusted).is_empty());
    // Exposed ports come from outside towards the management bridge.
    assert_eq!(sentences("aio1", &networks(), true, &trusted).len(), 1);
    // As firewalld has it: what was sent on to another address goes through.
    let translated = r#"{"rule": {"family": "inet", "table": "firewalld", "chain": "filter_FORWARD",
        "expr": [{"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": "dnat"}},
                 {"accept": null}]}}, "#;
    let text = FIREWALLD.replace("TRUSTED", TRUSTED);
    let text = text.replacen(r#"{"rule""#, &format!(r#"{translated}{{"rule""#), 1);
    assert!(sentences("aio1", &networks(), true, &nft_chains(&text)).is_empty());
}

#[test]
fn our_own_tables_and_accepting_chains_are_no_obstacle() {
    let ours = r#"{"nftables": [
        {"chain": {"family": "inet", "table": "aio_aio1", "name": "forwarded", "hook": "forward",
          "policy": "drop"}},
        {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward",
          "policy": "accept"}}]}"#;
    let chains = nft_chains(ours);
    assert_eq!(chains.len(), 1);
    assert!(sentences("aio1", &networks(), false, &chains).is_empty());
}

#[test]
fn old_style_tables_are_read_too() {
    let text = "-P INPUT DROP\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n-N ufw-before-forward\n\
                -A INPUT -i aio1-nat -j ACCEPT\n\
                -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    let chain = legacy_chain(text).unwrap();
    assert_eq!((chain.owner.as_str(), chain.otherwise.as_str()), ("ufw", "drop"));
    let all = sentences("aio1", &networks(), false, std::slice::from_ref(&chain));
    assert!(all[0].starts_with("ufw cuts the containers off"), "{all:?}");
    let allowed = format!("{text}-A ufw-user-forward -i aio1-nat -j ACCEPT\n");
    let chain = legacy_chain(&allowed).unwrap();
    assert!(sentences("aio1", &networks(), false, &[chain]).is_empty());
}

#[test]
fn a_recorded_host_with_docker() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facts/docker.json");
    let text = std::fs::read_to_string(path).unwrap();
    let facts: crate::model::facts::HostFacts = serde_json::from_str(&text).unwrap();
    let all = sentences("aio1", &networks(), false, &facts.network.forward_chains);
    assert!(all[0].starts_with("Docker's firewall"), "{all:?}");
    // Its own range is far from ours.
    let choice = ranges::choose("aio1", &Default::default(), &facts.network).unwrap();
    assert_eq!(choice.reasons.keys().collect::<Vec<_>>(), [&NetworkRole::Nat]);
}
