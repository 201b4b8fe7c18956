//! Foreign firewalls that would cut containers off.
//!
//! A packet that is forwarded passes the chains of every tool on the host, and one that drops it is
//! enough. Docker, ufw and firewalld each do so by default; where bridged frames pass the same
//! chains (`bridge-nf-call-iptables`, which Docker sets), containers of one bridge lose each other.
//! Where it is known how, [`super::openings`] lets the cloud's packets through; any other firewall
//! is the user's alone, who is told of it.

use serde_json::Value;

use super::super::tool::run;
use crate::model::facts::ForwardChain;

/// Reads the chains of other tools that decide about forwarded packets. Needs root; without it, or
/// without nft, nothing is known.
pub async fn read() -> Vec<ForwardChain> {
    let nft = run("look at the firewall", "nft", &["-j", "list", "ruleset"], "").await;
    let mut chains = nft.map(|text| nft_chains(&text)).unwrap_or_default();
    // Listing an old-style table would make it: look only at those that are there.
    let tables = std::fs::read_to_string("/proc/net/ip_tables_names").unwrap_or_default();
    if tables.lines().any(|table| table == "filter") {
        let doing = "look at the old-style firewall";
        if let Ok(text) = run(doing, "iptables-legacy", &["-S"], "").await {
            chains.extend(legacy_chain(&text));
        }
    }
    chains
}

/// The foreign base chains of the forward hook in what `nft -j list ruleset` prints.
pub fn nft_chains(text: &str) -> Vec<ForwardChain> {
    let root: Value = serde_json::from_str(text).unwrap_or_default();
    let Some(objects) = root["nftables"].as_array() else { return Vec::new() };
    let bases = objects.iter().map(|object| &object["chain"]).filter(|chain| {
        chain["hook"] == "forward"
            && matches!(chain["family"].as_str(), Some("ip" | "inet"))
            && !chain["table"].as_str().unwrap_or_default().starts_with("aio_")
    });
    bases.map(|base| forward_chain(base, objects)).collect()
}

fn forward_chain(base: &Value, objects: &[Value]) -> ForwardChain {
    let text = |key: &str| base[key].as_str().unwrap_or_default();
    let same_table =
        |object: &Value| object["family"] == base["family"] && object["table"] == base["table"];
    let rules: Vec<&Value> = objects
        .iter()
        .map(|object| &object["rule"])
        .filter(|rule| rule.is_object() && same_table(rule))
        .collect();
    let chains: Vec<&str> = objects
        .iter()
        .map(|object| &object["chain"])
        .filter(|chain| chain.is_object() && same_table(chain))
        .filter_map(|chain| chain["name"].as_str())
        .collect();
    let mut found = ForwardChain {
        owner: owner(text("table"), &chains).to_owned(),
        chain: format!("{} {} {}", text("family"), text("table"), text("name")),
        otherwise: otherwise(base, &rules),
        accepts_from: Vec::new(),
        accepts_to: Vec::new(),
        accepts_answers: false,
        accepts_translated: false,
    };
    for rule in &rules {
        note_rule(rule, &rules, &mut found);
    }
    found
}

fn owner(table: &str, chains: &[&str]) -> &'static str {
    let any = |start: &str| chains.iter().any(|chain| chain.starts_with(start));
    if table.contains("docker") || any("DOCKER") {
        "docker"
    } else if any("ufw-") {
        "ufw"
    } else if table == "firewalld" {
        "firewalld"
    } else {
        "unknown"
    }
}

/// What becomes of a packet for which no rule of the chain speaks: a last rule without a condition
/// (firewalld's `reject`) or the policy.
fn otherwise(base: &Value, rules: &[&Value]) -> String {
    let own = rules.iter().filter(|rule| rule["chain"] == base["name"]);
    let verdicts = own.filter_map(|rule| match statements(rule).as_slice() {
        [only] => ["drop", "reject", "accept"].into_iter().find(|key| only.get(*key).is_some()),
        _ => None,
    });
    let policy = base["policy"].as_str().unwrap_or("accept");
    verdicts.fold(policy, |_, verdict| verdict).to_owned()
}

/// The statements of a rule without those that only count.
fn statements(rule: &Value) -> Vec<&Value> {
    let all = rule["expr"].as_array();
    all.into_iter()
        .flatten()
        .filter(|statement| statement.get("counter").is_none() && statement.get("log").is_none())
        .collect()
}

/// Adds what a rule lets through.
fn note_rule(rule: &Value, rules: &[&Value], found: &mut ForwardChain) {
    let statements = statements(rule);
    let Some((verdict, conditions)) = statements.split_last() else { return };
    if !lets_through(verdict, rules) {
        return;
    }
    let matches: Vec<&Value> = conditions.iter().map(|condition| &condition["match"]).collect();
    let is_answer = |one: &&Value| {
        one["left"]["ct"]["key"] == "state" && one["right"].to_string().contains("established")
    };
    let is_translated = |one: &&Value| {
        one["left"]["ct"]["key"] == "status" && one["right"].to_string().contains("dnat")
    };
    if matches.iter().any(is_translated) {
        found.accepts_translated |= matches.len() == 1;
        return;
    }
    if matches.iter().any(is_answer) {
        found.accepts_answers |= matches.len() == 1;
        return;
    }
    // A rule with more conditions than its interface lets only some packets through.
    let [only] = matches.as_slice() else { return };
    if only["op"] != "==" {
        return;
    }
    let names = match &only["right"] {
        Value::String(name) => vec![name.clone()],
        Value::Object(set) => set
            .get("set")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    match only["left"]["meta"]["key"].as_str() {
        Some("iifname") => found.accepts_from.extend(names),
        Some("oifname") => found.accepts_to.extend(names),
        _ => {}
    }
}

/// Whether a verdict ends in acceptance: `accept`, or a zone's chain that accepts all.
fn lets_through(verdict: &Value, rules: &[&Value]) -> bool {
    if verdict.get("accept").is_some() {
        return true;
    }
    let target = verdict["goto"]["target"].as_str().or(verdict["jump"]["target"].as_str());
    target.is_some_and(|target| {
        target.ends_with("_trusted")
            || rules.iter().any(|rule| {
                let unconditional = statements(rule);
                rule["chain"] == target
                    && matches!(unconditional.as_slice(), [only] if only.get("accept").is_some())
            })
    })
}

/// The forward chain in what `iptables-legacy -S` prints.
pub fn legacy_chain(text: &str) -> Option<ForwardChain> {
    let policy = text.lines().find_map(|line| line.strip_prefix("-P FORWARD "))?;
    let chains: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("-N ")).collect();
    let mut found = ForwardChain {
        owner: owner("filter", &chains).to_owned(),
        chain: "iptables-legacy filter FORWARD".to_owned(),
        otherwise: policy.trim().to_ascii_lowercase(),
        accepts_from: Vec::new(),
        accepts_to: Vec::new(),
        accepts_answers: false,
        accepts_translated: false,
    };
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["-A", chain, ..] if matches!(*chain, "INPUT" | "OUTPUT") => {}
            ["-A", _, "-i", name, "-j", "ACCEPT"] => found.accepts_from.push((*name).to_owned()),
            ["-A", _, "-o", name, "-j", "ACCEPT"] => found.accepts_to.push((*name).to_owned()),
            ["-A", _, "-m", "conntrack", "--ctstate", states, "-j", "ACCEPT"]
                if states.contains("ESTABLISHED") =>
            {
                found.accepts_answers = true;
            }
            _ => {}
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests;
