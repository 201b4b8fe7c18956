//! What the identity service must know of every deployed service, compared and made right.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::identity::{Session, find_id};
use super::records;
use super::site::{ATTEMPTS, Site};
use crate::config::profile::{Identity, User};
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::{Error, Result};
use crate::model::hash::sha256_hex;

/// Domains, projects, roles, users, assignments, services and endpoints of all deployed profiles.
pub struct Catalog {
    pub site: Arc<Site>,
}

/// After passwords were changed: tokens that are issued within the same second are refused for ever.
const TOKENS_ARE_GOOD_AFTER: Duration = Duration::from_secs(1);

/// The record of what earlier runs put into the catalog.
const CATALOG_RECORD: &str = "identity/services";

/// Names of services that are in the catalog by an earlier run; `None` where it was not recorded.
async fn recorded(context: &StepContext) -> Result<Option<BTreeSet<String>>> {
    records::load(&*context.host.records, CATALOG_RECORD).await
}

/// What the service holds now.
struct Found {
    domains: Vec<Value>,
    projects: Vec<Value>,
    roles: Vec<Value>,
    users: Vec<Value>,
    services: Vec<Value>,
    endpoints: Vec<Value>,
    assignments: Vec<Value>,
}

impl Found {
    async fn load(session: &Session<'_>) -> Result<Self> {
        // One after another: a service that has just started loads its policy with the first
        // request, and refuses a second one that comes meanwhile.
        Ok(Self {
            domains: session.list("/domains", "domains").await?,
            projects: session.list("/projects", "projects").await?,
            roles: session.list("/roles", "roles").await?,
            users: session.list("/users", "users").await?,
            services: session.list("/services", "services").await?,
            endpoints: session.list("/endpoints", "endpoints").await?,
            assignments: session.list("/role_assignments", "role_assignments").await?,
        })
    }

    fn domain(&self, name: &str) -> Option<String> {
        find_id(&self.domains, &[("name", name)])
    }

    fn project(&self, name: &str, domain: &str) -> Option<String> {
        find_id(&self.projects, &[("name", name), ("domain_id", &self.domain(domain)?)])
    }

    fn user(&self, user: &User) -> Option<String> {
        find_id(&self.users, &[("name", &user.name), ("domain_id", &self.domain(&user.domain)?)])
    }

    fn role(&self, name: &str) -> Option<String> {
        find_id(&self.roles, &[("name", name)])
    }

    /// Whether a user has a role on a project or domain.
    fn assigned(&self, user: &str, role: &str, scope: &str, scope_id: &str) -> bool {
        self.assignments.iter().any(|assignment| {
            let id = |path: &str| assignment.pointer(path).and_then(Value::as_str);
            id("/user/id") == Some(user)
                && id("/role/id") == Some(role)
                && id(&format!("/scope/{scope}/id")) == Some(scope_id)
        })
    }
}

struct Endpoint {
    service: String,
    interface: &'static str,
    url: String,
}

impl Catalog {
    fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.site.cloud.services.iter().map(|service| &service.identity)
    }

    fn users(&self) -> impl Iterator<Item = &User> {
        self.identities().flat_map(|identity| &identity.users)
    }

    fn service_names(&self) -> BTreeSet<String> {
        self.identities().flat_map(|it| &it.services).map(|service| service.name.clone()).collect()
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>> {
        let cloud = &self.site.cloud;
        let mut endpoints = Vec::new();
        for service in self.identities().flat_map(|identity| &identity.services) {
            let frontend = cloud.frontend(&service.frontend)?;
            let (public, internal) = (cloud.outside_url(frontend), cloud.url(frontend));
            for (interface, place) in
                [("public", &public), ("internal", &internal), ("admin", &internal)]
            {
                let url = format!("{place}{}", service.path);
                endpoints.push(Endpoint { service: service.name.clone(), interface, url });
            }
        }
        Ok(endpoints)
    }

    /// The record that tells with which password a user was last made.
    fn password_record(user: &User) -> String {
        format!("identity/password/{}/{}", user.domain, user.name)
    }

    fn password_fingerprint(&self, user: &User, id: &str) -> Result<String> {
        Ok(sha256_hex(format!("{id} {}", self.site.password(&user.secret)?)))
    }

    /// The first thing that is not as it should be.
    async fn difference(&self, context: &StepContext, found: &Found) -> Result<Option<String>> {
        for identity in self.identities() {
            if let Some(domain) =
                identity.domains.iter().find(|it| found.domain(&it.name).is_none())
            {
                return Ok(Some(format!("domain {} is missing", domain.name)));
            }
            let missing =
                identity.projects.iter().find(|it| found.project(&it.name, &it.domain).is_none());
            if let Some(project) = missing {
                return Ok(Some(format!("project {} is missing", project.name)));
            }
            if let Some(role) = identity.roles.iter().find(|name| found.role(name).is_none()) {
                return Ok(Some(format!("role {role} is missing")));
            }
        }
        for user in self.users() {
            let Some(id) = found.user(user) else {
                return Ok(Some(format!("user {} is missing", user.name)));
            };
            let recorded = context.host.records.get(&Self::password_record(user)).await?;
            if recorded != Some(self.password_fingerprint(user, &id)?) {
                return Ok(Some(format!("user {} has another password", user.name)));
            }
            for (role, scope, scope_id) in Self::wanted_roles(user, found)? {
                if !found.assigned(&id, &role, scope, &scope_id) {
                    return Ok(Some(format!("user {} lacks a role", user.name)));
                }
            }
        }
        for service in self.identities().flat_map(|identity| &identity.services) {
            if find_id(&found.services, &[("name", &service.name), ("type", &service.kind)])
                .is_none()
            {
                return Ok(Some(format!("service {} is missing", service.name)));
            }
        }
        for endpoint in self.endpoints()? {
            let service = find_id(&found.services, &[("name", &endpoint.service)]);
            let wanted = service.as_deref().is_some_and(|service| {
                find_id(&found.endpoints, &self.endpoint_fields(&endpoint, service)).is_some()
            });
            if !wanted {
                let Endpoint { service, interface, .. } = endpoint;
                return Ok(Some(format!("the {interface} endpoint of {service} is missing")));
            }
        }
        let (made, wanted) = (recorded(context).await?, self.service_names());
        Ok(match made {
            None => Some("what is in the catalog is not recorded".to_owned()),
            Some(made) => made
                .symmetric_difference(&wanted)
                .next()
                .map(|name| format!("the service {name} came or went")),
        })
    }

    fn endpoint_fields<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        service: &'a str,
    ) -> [(&'a str, &'a str); 4] {
        [
            ("service_id", service),
            ("interface", endpoint.interface),
            ("url", &endpoint.url),
            ("region_id", &self.site.cloud.region),
        ]
    }

    /// Role id, kind of scope and scope id of each assignment.
    fn wanted_roles(user: &User, found: &Found) -> Result<Vec<(String, &'static str, String)>> {
        let mut wanted = Vec::new();
        for assignment in &user.roles {
            let missing = || {
                Error::failed(format!("find the role `{}` of `{}`", assignment.role, user.name))
                    .because("the role, or what it is on, does not exist")
            };
            let role = found.role(&assignment.role).ok_or_else(missing)?;
            let (scope, id) = match (&assignment.project, &assignment.domain) {
                (Some(project), _) => ("project", found.project(project, &user.domain)),
                (None, Some(domain)) => ("domain", found.domain(domain)),
                (None, None) => ("project", None),
            };
            wanted.push((role, scope, id.ok_or_else(missing)?));
        }
        Ok(wanted)
    }

    async fn make_containers(&self, session: &Session<'_>, found: &mut Found) -> Result<()> {
        for identity in self.identities() {
            for domain in &identity.domains {
                if found.domain(&domain.name).is_none() {
                    let body = json!({ "name": domain.name, "description": domain.description });
                    found.domains.push(session.create("/domains", "domain", body).await?);
                }
            }
            for role in &identity.roles {
                if found.role(role).is_none() {
                    let body = json!({ "name": role });
                    found.roles.push(session.create("/roles", "role", body).await?);
                }
            }
        }
        for project in self.identities().flat_map(|identity| &identity.projects) {
            if found.project(&project.name, &project.domain).is_none() {
                let body = json!({ "name": project.name, "description": project.description,
                    "domain_id": found.domain(&project.domain) });
                found.projects.push(session.create("/projects", "project", body).await?);
            }
        }
        Ok(())
    }

    /// Makes a user, or its password what it should be; returns whether that one changed.
    async fn make_user(
        &self,
        context: &StepContext,
        session: &Session<'_>,
        found: &Found,
        user: &User,
    ) -> Result<bool> {
        let mut changed = false;
        let password = self.site.password(&user.secret)?;
        let record = Self::password_record(user);
        let id = match found.user(user) {
            Some(id) => {
                let fingerprint = self.password_fingerprint(user, &id)?;
                if context.host.records.get(&record).await? != Some(fingerprint) {
                    let body = json!({ "user": { "password": password } });
                    session.send("PATCH", &format!("/users/{id}"), Some(body)).await?;
                    changed = true;
                }
                id
            }
            None => {
                let body = json!({ "name": user.name, "password": password,
                    "domain_id": found.domain(&user.domain) });
                let made = session.create("/users", "user", body).await?;
                made.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
            }
        };
        context.host.records.set(&record, &self.password_fingerprint(user, &id)?).await?;
        for (role, scope, scope_id) in Self::wanted_roles(user, found)? {
            if !found.assigned(&id, &role, scope, &scope_id) {
                let path = format!("/{scope}s/{scope_id}/users/{id}/roles/{role}");
                session.send("PUT", &path, None).await?;
            }
        }
        Ok(changed)
    }

    /// Takes out of the catalog what earlier runs put there and nothing serves any more.
    async fn clear_catalog(
        &self,
        context: &StepContext,
        session: &Session<'_>,
        found: &Found,
    ) -> Result<()> {
        let wanted = self.service_names();
        for name in recorded(context).await?.unwrap_or_default().difference(&wanted) {
            if let Some(id) = find_id(&found.services, &[("name", name)]) {
                session.send("DELETE", &format!("/services/{id}"), None).await?;
            }
        }
        records::save(&*context.host.records, CATALOG_RECORD, &wanted).await
    }

    async fn make_catalog(&self, session: &Session<'_>, found: &mut Found) -> Result<()> {
        for service in self.identities().flat_map(|identity| &identity.services) {
            let fields = [("name", service.name.as_str()), ("type", service.kind.as_str())];
            if find_id(&found.services, &fields).is_none() {
                let body = json!({ "name": service.name, "type": service.kind,
                    "description": service.description });
                found.services.push(session.create("/services", "service", body).await?);
            }
        }
        for endpoint in self.endpoints()? {
            let service = find_id(&found.services, &[("name", &endpoint.service)])
                .ok_or_else(|| Error::failed(format!("find the service `{}`", endpoint.service)))?;
            if find_id(&found.endpoints, &self.endpoint_fields(&endpoint, &service)).is_some() {
                continue;
            }
            let same_place = [("service_id", service.as_str()), ("interface", endpoint.interface)];
            let body = json!({ "service_id": service, "interface": endpoint.interface,
                "url": endpoint.url, "region_id": self.site.cloud.region });
            match find_id(&found.endpoints, &same_place) {
                Some(id) => {
                    let body = json!({ "endpoint": body });
                    session.send("PATCH", &format!("/endpoints/{id}"), Some(body)).await?;
                }
                None => {
                    session.create("/endpoints", "endpoint", body).await?;
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Action for Catalog {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        let session = match Session::open(context, &self.site).await {
            Ok(session) => session,
            Err(error) => return Ok(Observation::Wrong(error.to_string())),
        };
        let found = match Found::load(&session).await {
            Ok(found) => found,
            Err(error) => return Ok(Observation::Wrong(error.to_string())),
        };
        let wrong = self.difference(context, &found).await;
        Ok(wrong.unwrap_or_else(|error| Some(error.to_string())).into())
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let session = Session::open(context, &self.site).await?;
        let mut found = Found::load(&session).await?;
        self.make_containers(&session, &mut found).await?;
        let mut changed = false;
        for user in self.users() {
            changed |= self.make_user(context, &session, &found, user).await?;
        }
        self.make_catalog(&session, &mut found).await?;
        self.clear_catalog(context, &session, &found).await?;
        if changed {
            sleep(TOKENS_ARE_GOOD_AFTER).await;
        }
        Ok(())
    }

    fn attempts(&self) -> u32 {
        ATTEMPTS
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::sync::Mutex;

    use super::*;
    use crate::config::load::Profiles;
    use crate::host::Host;
    use crate::host::fake::empty;
    use crate::host::fake::http::FakeHttp;
    use crate::host::fake::records::FakeRecords;
    use crate::render::testing::builtin_cloud;

    #[tokio::test]
    async fn what_was_put_into_the_catalog_goes_with_its_service_and_nothing_else_does() {
        let profiles = Profiles::built_in().unwrap();
        let cloud = builtin_cloud(&profiles, &profiles.scenarios["control"]);
        let token = Mutex::new(Some("t0ken".to_owned()));
        let password = ("keystone_auth_admin_password".to_owned(), "secret".into());
        let site = Site { admin_token: token, ..Site::new(cloud, BTreeMap::from([password])) };
        let catalog = Catalog { site: Arc::new(site) };
        let wanted = catalog.service_names();
        assert!(wanted.contains("heat"), "{wanted:?}");

        let (http, records) = (Arc::new(FakeHttp::default()), Arc::new(FakeRecords::default()));
        let host = Host {
            http: Arc::clone(&http) as Arc<_>,
            records: Arc::clone(&records) as Arc<_>,
            ..empty()
        };
        let context = StepContext::silent(Arc::new(host));
        let before: Vec<&str> = wanted.iter().map(String::as_str).chain(["manilav2"]).collect();
        let before = serde_json::to_string(&before).unwrap();
        context.host.records.set(CATALOG_RECORD, &before).await.unwrap();
        let service = |name: &str, id: &str| json!({ "name": name, "id": id });
        let found = Found {
            services: vec![service("heat", "1"), service("manilav2", "2"), service("mine", "3")],
            domains: Vec::new(),
            projects: Vec::new(),
            roles: Vec::new(),
            users: Vec::new(),
            endpoints: Vec::new(),
            assignments: Vec::new(),
        };
        http.answer("DELETE", "/v3/services/2", 204, "");
        let session = Session::open(&context, &catalog.site).await.unwrap();
        catalog.clear_catalog(&context, &session, &found).await.unwrap();
        assert_eq!(http.requests.lock().unwrap().len(), 1);
        assert_eq!(recorded(&context).await.unwrap(), Some(wanted));
    }
}
