use super::*;
use crate::host::fake::containers::FakeContainers;
use crate::host::fake::empty;
use crate::host::{Containers, Host};
use crate::model::command::Output;
use crate::model::topology::tests::container;
use crate::render::testing;
use crate::steps::balancer::Balancer;
use crate::steps::container::Discard;

const UNIT: &str = "mq.service";

/// Three members of which the first two run the unit; the third was just made anew.
async fn members() -> (Arc<FakeContainers>, StepContext, Vec<Container>) {
    let containers = Arc::new(FakeContainers::default());
    let members: Vec<Container> = ["mq/1", "mq/2", "mq/3"]
        .map(|label| Container { units: vec![UNIT.to_owned()], ..container(label) })
        .into();
    for member in &members {
        containers.define(member).await.unwrap();
        containers.start(&member.name).await.unwrap();
        containers.set_active(&member.name, UNIT, member.member != 3);
    }
    let host = Host { containers: Arc::clone(&containers) as Arc<_>, ..empty() };
    let context = StepContext::silent(Arc::new(host));
    (containers, context, members)
}

fn forget(members: &[Container]) -> Forget {
    let sibling = |member: &Container| (member.name.clone(), format!("forget {}", member.name));
    let siblings = members[..2].iter().map(sibling).collect();
    Forget { departing: members[2].clone(), unit: UNIT.to_owned(), siblings }
}

fn grow(members: &[Container]) -> Grow {
    let cloud = testing::cloud(&testing::profiles(&[]));
    let site = Arc::new(Site::new(cloud, Default::default()));
    Grow { member: members[2].clone(), script: Some("grow".to_owned()), site }
}

/// Scripts that were run, with the container.
fn listen(containers: &FakeContainers) -> Arc<std::sync::Mutex<Vec<String>>> {
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    containers.answer(move |name, command| {
        ear.lock().unwrap().push(format!("{name}: {}", command.argv.last().unwrap()));
        Some(Output::default())
    });
    heard
}

#[tokio::test]
async fn who_has_its_data_is_left_alone() {
    let (_, context, members) = members().await;
    assert_eq!(forget(&members).observe(&context).await.unwrap(), Observation::Right);
    assert_eq!(grow(&members).observe(&context).await.unwrap(), Observation::Right);
}

#[tokio::test]
async fn any_later_run_carries_on_where_data_was_dropped() {
    let (containers, context, members) = members().await;
    let discard = Discard {
        container: members[2].clone(),
        data: true,
        told: true,
        balancer: Arc::new(Balancer::default()),
    };
    discard.act(&context).await.unwrap();
    let heard = listen(&containers);
    let (forget, grow) = (forget(&members), grow(&members));
    assert!(matches!(forget.observe(&context).await.unwrap(), Observation::Wrong(_)));
    // The first that is part of the cluster is told.
    containers.set_active(&members[0].name, UNIT, false);
    forget.act(&context).await.unwrap();
    assert_eq!(forget.verify(&context).await.unwrap(), Observation::Right);
    assert_eq!(*heard.lock().unwrap(), [format!("{0}: forget {0}", members[1].name)]);

    containers.define(&members[2]).await.unwrap();
    containers.start(&members[2].name).await.unwrap();
    assert!(matches!(grow.observe(&context).await.unwrap(), Observation::Wrong(_)));
    grow.act(&context).await.unwrap();
    assert_eq!(grow.verify(&context).await.unwrap(), Observation::Right);
    assert_eq!(heard.lock().unwrap()[1], format!("{}: grow", members[2].name));
    assert_eq!(DroppedData::load(&context, &members[2].name).await.unwrap(), None);
}

#[tokio::test]
async fn a_cluster_that_could_not_be_told_is_told_the_next_time() {
    let (containers, context, members) = members().await;
    DroppedData::Dropped.save(&context, &members[2].name).await.unwrap();
    let forget = forget(&members);
    containers.answer(|_, _| Some(Output { status: 70, ..Output::default() }));
    assert!(forget.act(&context).await.is_err());
    assert!(matches!(forget.observe(&context).await.unwrap(), Observation::Wrong(_)));
    for member in &members[..2] {
        containers.kill(&member.name);
    }
    assert!(matches!(forget.observe(&context).await.unwrap(), Observation::Skip(_)));
    assert_eq!(
        DroppedData::load(&context, &members[2].name).await.unwrap(),
        Some(DroppedData::Dropped)
    );
}
