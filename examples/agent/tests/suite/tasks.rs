//! Tasks are known, watched, cancelled, and stopped with the agent.

use std::time::Duration;

use agent::contract::{AgentClient, DiskError, Mode, Pattern, TaskState};
use rmi_core::{CallError, Update};

use crate::world::{MIB, Machine, World};

/// An erasure that has begun, and is far from its end: 16 passes over 64 MiB.
async fn long() -> (World, rmi_core::Pending<agent::contract::Erased, DiskError, agent::contract::Step>) {
    let world = Machine::new().disk("sda", 64 * MIB).start().await;
    let mut erasing = world.decommission().disk_erase(None, vec![Pattern::Random; 16], false).send().await.unwrap();
    while !matches!(erasing.next().await.unwrap().unwrap(), Update::Progress(_)) {}
    (world, erasing)
}

#[tokio::test]
async fn a_task_is_cancelled_and_leaves_its_disk_free() {
    let (world, erasing) = long().await;
    assert!(erasing.cancel().await.unwrap());
    let error = erasing.await.unwrap_err();
    let CallError::Remote(DiskError::Cancelled { completed, total }) = error else { panic!("{error}") };
    assert!(completed < total && total == 2 * 16 * 64 * MIB);
    world.me.parts().disks.claim("sda", "test").unwrap();
}

#[tokio::test]
async fn a_status_says_what_is_going_on() {
    let (world, erasing) = long().await;
    let agent: AgentClient = world.caller.client("a:b:c:d");
    let status = agent.status().await.unwrap();
    assert_eq!((status.mode, status.tasks.len()), (Mode::Busy, 1));
    let task = &status.tasks[0];
    assert_eq!((task.task_id.as_str(), task.method.as_str()), (erasing.sn().as_str(), "decom.disk_erase"));
    assert_eq!(task.state, TaskState::Running);
    assert_eq!(status.disks[0].busy, Some(format!("decom.disk_erase ({})", erasing.sn())));
    assert!(status.uptime >= 0.0 && status.cache.is_some());

    let busy = world.decommission().disk_erase(None, vec![Pattern::Zeros], false).await.unwrap_err();
    assert!(matches!(&busy, CallError::Remote(DiskError::Busy { by, .. }) if by.contains(erasing.sn().as_str())), "{busy}");

    erasing.cancel().await.unwrap();
    erasing.await.unwrap_err();
    let status = agent.status().await.unwrap();
    assert_eq!(status.mode, Mode::Standby);
    assert_eq!(status.tasks.iter().map(|task| task.state).collect::<Vec<_>>(), [TaskState::Error, TaskState::Error]);
    assert!(status.tasks[0].msg.as_deref().unwrap().starts_with("cancelled after"), "{:?}", status.tasks[0].msg);
    assert!(status.disks[0].busy.is_none());
}

#[tokio::test]
async fn an_agent_that_stops_ends_its_tasks_with_a_reason() {
    let (world, erasing) = long().await;
    world.me.parts().tasks.stop();
    let drained = world.agent.shutdown(Duration::from_secs(60)).await.unwrap();
    assert_eq!(drained.left_behind, 0);
    let error = erasing.await.unwrap_err();
    assert!(matches!(error, CallError::Remote(DiskError::Stopping { .. })), "{error}");
}

#[tokio::test]
async fn a_task_whose_agent_is_gone_stops_by_itself() {
    let (world, erasing) = long().await;
    let mut changes = world.me.parts().tasks.changes();
    let World { me, agent, .. } = world;
    drop(agent);
    drop(erasing);
    while changes.recv().await.is_ok_and(|status| status.state == TaskState::Running) {}
    // The thread that writes looks between two blocks.
    let disks = me.parts().disks.clone();
    tokio::task::spawn_blocking(move || while disks.claim("sda", "test").is_err() {}).await.unwrap();
}

#[tokio::test]
async fn changes_are_told_to_whoever_listens() {
    let world = Machine::new().disk("sda", MIB).start().await;
    let mut changes = world.me.parts().tasks.changes();
    world.decommission().disk_erase(None, vec![Pattern::Zeros], false).await.unwrap();
    let mut told = Vec::new();
    while told.last().is_none_or(|status: &agent::contract::TaskStatus| status.state == TaskState::Running) {
        told.push(changes.recv().await.unwrap());
    }
    assert!(told.windows(2).all(|pair| pair[0].percent <= pair[1].percent));
    let last = told.last().unwrap();
    assert_eq!((last.state, last.percent, last.msg.as_deref()), (TaskState::Complete, 100.0, None));
}
