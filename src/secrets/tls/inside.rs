//! Which certificates containers show each other where everything speaks TLS. Pure, as
//! [`outside`](super::outside): one for each container, signed by the cloud's authority, so that one
//! that is added or made anew changes nothing of the others.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::authority::{self, Purpose};
use super::pair::Pair;
use crate::error::Result;
use crate::model::cloud::Certified;

/// What templates call, among the secrets, a container's own certificate with its key.
pub fn pem_name(container: &str) -> String {
    format!("tls_pem {container}")
}

/// One for each of `wanted`, by name. What is held stays while it can.
pub fn settle(
    authority: &Pair,
    wanted: &BTreeMap<String, Certified>,
    mut held: BTreeMap<String, Pair>,
    now: OffsetDateTime,
) -> Result<BTreeMap<String, Pair>> {
    let mut settled = BTreeMap::new();
    for (name, Certified { addresses, peer }) in wanted {
        let present = held.remove(name).filter(|pair| pair.serves(addresses, authority, now));
        let purpose = if *peer { Purpose::Peer } else { Purpose::Server };
        let pair = match present {
            Some(present) => present,
            None => authority::issue(authority, addresses, purpose, now)?,
        };
        settled.insert(name.clone(), pair);
    }
    Ok(settled)
}
