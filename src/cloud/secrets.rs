//! The secrets of a cloud: what the user's file says, and which of its edits the cloud does not use
//! yet.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;

use super::tls;
use crate::error::Result;
use crate::host::Records as _;
use crate::host::records::RealRecords;
use crate::model::cloud::Cloud;
use crate::model::paths::Paths;
use crate::secrets::applied::AppliedSecrets;
use crate::secrets::file::SecretValues;
use crate::secrets::spec::SecretSpec;
use crate::secrets::store;

const APPLIED_SECRETS: &str = "secrets/applied";

/// What a cloud that is there makes of the file.
pub struct Recorded {
    /// Every secret that its services need, by name.
    pub values: BTreeMap<String, SecretString>,
    /// Names whose values were edited since: the cloud uses others, which nobody else knows.
    pub unapplied: BTreeSet<String>,
}

/// The names of services as the specification of secrets knows them.
pub fn services(cloud: &Cloud) -> Vec<String> {
    cloud.services.iter().map(|service| service.service.clone()).collect()
}

/// What the file says of the secrets that a cloud's services need.
pub fn written(paths: &Paths, cloud: &Cloud) -> Result<(SecretSpec, SecretValues)> {
    let specification = store::specification(&paths.config_dir)?;
    let file = store::read(&paths.secrets_file())?;
    let values = file.values(&specification, &services(cloud))?;
    Ok((specification, values))
}

/// Reads the secrets of a cloud that is there.
pub async fn recorded(paths: &Paths, cloud: &Cloud) -> Result<Recorded> {
    let (specification, values) = written(paths, cloud)?;
    let mut unapplied = BTreeSet::new();
    if let Some(applied) = applied(paths).await? {
        let changes = applied.compare(&values, &specification);
        unapplied.extend(changes.apply);
        unapplied.extend(changes.refused.into_iter().map(|(name, _)| name));
    }
    Ok(Recorded { values: with_keys(paths, cloud, &values)?, unapplied })
}

/// Every secret that a cloud which is there needs, by name.
pub fn known(paths: &Paths, cloud: &Cloud) -> Result<BTreeMap<String, SecretString>> {
    let (_, values) = written(paths, cloud)?;
    with_keys(paths, cloud, &values)
}

fn with_keys(
    paths: &Paths,
    cloud: &Cloud,
    values: &SecretValues,
) -> Result<BTreeMap<String, SecretString>> {
    let mut secrets = plain(values);
    tls::add_recorded(paths, cloud, &mut secrets)?;
    Ok(secrets)
}

/// Values by name, for rendering and logins.
pub fn plain(secrets: &SecretValues) -> BTreeMap<String, SecretString> {
    secrets.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

/// Returns which secrets the cloud uses now; `None` for a new one.
pub async fn applied(paths: &Paths) -> Result<Option<AppliedSecrets>> {
    let record = RealRecords::new(paths.records_dir()).get(APPLIED_SECRETS).await?;
    record.map(|text| AppliedSecrets::from_record(&text)).transpose()
}

/// Remembers that the cloud uses these now.
pub async fn remember(paths: &Paths, secrets: &SecretValues) -> Result<()> {
    let mut known = match applied(paths).await? {
        Some(applied) => applied,
        None => AppliedSecrets::new(&mut rand::rng()),
    };
    known.set_all(secrets);
    let records = RealRecords::new(paths.records_dir());
    records.set(APPLIED_SECRETS, &known.to_record()?).await
}

/// What to tell about names that are not applied; `None` when there are none.
pub fn note(unapplied: &BTreeSet<String>) -> Option<String> {
    let names: Vec<&str> = unapplied.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        format!("user_secrets.yml was edited ({}): `aio bootstrap` applies it.", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::Profiles;
    use crate::render::testing::builtin_cloud;

    #[tokio::test]
    async fn an_edit_is_known_until_it_is_applied() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths::below(directory.path());
        std::fs::create_dir_all(&paths.config_dir).unwrap();
        let profiles = Profiles::load(&paths.config_dir).unwrap();
        let cloud = builtin_cloud(&profiles, &profiles.scenarios["control"]);
        let specification = store::specification(&paths.config_dir).unwrap();
        let mut file = store::read(&paths.secrets_file()).unwrap();
        file.complete(&specification, &services(&cloud), &mut rand::rng()).unwrap();
        store::write(&file, &paths.secrets_file()).unwrap();
        // Nothing was applied yet: all of it is new.
        assert!(recorded(&paths, &cloud).await.unwrap().unapplied.is_empty());

        let values = file.values(&specification, &services(&cloud)).unwrap();
        remember(&paths, &values).await.unwrap();
        let before = recorded(&paths, &cloud).await.unwrap();
        assert!(before.unapplied.is_empty());
        assert_eq!(note(&before.unapplied), None);

        let name = "rabbitmq_monitoring_password";
        let text = std::fs::read_to_string(paths.secrets_file()).unwrap();
        let edited = text.lines().map(|line| match line.strip_prefix(name) {
            Some(_) => format!("{name}: edited-by-hand\n"),
            None => format!("{line}\n"),
        });
        std::fs::write(paths.secrets_file(), edited.collect::<String>()).unwrap();
        let after = recorded(&paths, &cloud).await.unwrap();
        assert_eq!(after.unapplied, BTreeSet::from([name.to_owned()]));
        assert!(note(&after.unapplied).unwrap().contains(name));
    }
}
