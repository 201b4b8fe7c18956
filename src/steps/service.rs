//! The last look at a service, and at the cloud.

use std::sync::Arc;

use async_trait::async_trait;

use super::identity::Session;
use super::site::Site;
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::{Error, Result};
use crate::host::Request;
use crate::model::health::ServerState;
use crate::model::topology::Container;

/// Every member of a service is seen as up by the load balancer, in every frontend.
pub struct Ready {
    /// Each member with a frontend that it answers.
    pub servers: Vec<(Container, String)>,
    pub site: Arc<Site>,
}

/// Whether the balancer sends it traffic (or would, if it is a backup).
fn is_up(server: &ServerState) -> bool {
    server.status == "UP" || server.status == "no check"
}

impl Ready {
    /// The members that are not up, as (member, what the balancer says).
    async fn down(&self, context: &StepContext) -> Result<Vec<(&Container, String)>> {
        if self.servers.is_empty() {
            return Ok(Vec::new());
        }
        let seen = self.site.balancer.servers(context).await;
        let mut down = Vec::new();
        for (member, frontend) in &self.servers {
            let found = seen
                .iter()
                .find(|server| server.server == member.name && server.frontend == *frontend);
            match found {
                Some(server) if is_up(server) => {}
                Some(server) => down.push((member, format!("{} in {frontend}", server.status))),
                None => down.push((member, format!("not served in {frontend}"))),
            }
        }
        Ok(down)
    }

    /// Returns why the first member that is not up is not; `None` when all are.
    async fn wrong(&self, context: &StepContext) -> Result<Option<Error>> {
        let down = self.down(context).await?;
        Ok(down.first().map(|(member, reason)| {
            Error::failed(format!("wait until `{}` is in service", member.name))
                .because(format!("the load balancer says {reason}"))
                .hint(format!("run `aio logs {}` for all that its units said", member.name))
        }))
    }
}

#[async_trait]
impl Action for Ready {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        let down = self.down(context).await?;
        let first = down.first().map(|(member, reason)| format!("{} is {reason}", member.name));
        Ok(first.into())
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        for (member, _) in self.down(context).await? {
            self.site.balancer.put_back(context, member).await?;
        }
        Ok(())
    }

    /// What is healthy is seen as such by the load balancer a moment later.
    async fn verify(&self, context: &StepContext) -> Result<Observation> {
        self.wrong(context).await?.map_or(Ok(Observation::Right), Err)
    }
}

/// A token is issued through the load balancer, and everything in the catalog answers.
pub struct Verify {
    pub site: Arc<Site>,
}

impl Verify {
    async fn wrong(&self, context: &StepContext) -> Result<Option<String>> {
        if let Err(error) = Session::check(context, &self.site).await {
            return Ok(Some(error.to_string()));
        }
        let cloud = &self.site.cloud;
        for service in cloud.services.iter().flat_map(|service| &service.identity.services) {
            let Ok(frontend) = cloud.frontend(&service.frontend) else { continue };
            let url = format!("{}/", cloud.url(frontend));
            let request = Request { method: "GET".to_owned(), url, ..Request::default() };
            match context.host.http.send(request).await {
                Ok(response) if response.status < 500 => {}
                Ok(response) => {
                    return Ok(Some(format!("{} answers {}", service.name, response.status)));
                }
                Err(_) => return Ok(Some(format!("{} does not answer", service.name))),
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Action for Verify {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        Ok(self.wrong(context).await?.into())
    }

    /// There is nothing to be done but to wait.
    async fn act(&self, _: &StepContext) -> Result<()> {
        Ok(())
    }

    async fn verify(&self, context: &StepContext) -> Result<Observation> {
        let Some(reason) = self.wrong(context).await? else { return Ok(Observation::Right) };
        Err(Error::failed("verify the cloud")
            .because(reason)
            .hint("run `aio status` to see which container is not healthy"))
    }
}
