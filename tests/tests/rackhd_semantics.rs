//! What a call means in RackHD's words: what of it they can keep.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};

use async_trait::async_trait;
use rmi_amqp::rackhd::{Profile, RackHd};
use rmi_core::{
    Client, Endpoint, Memory, Trust,
    endpoint::Builder,
    testing::semantics::{self, Setting, probe::ProbeClient},
};
use rmi_tests::clock::paused;
use tokio::runtime::Runtime;

type Sentences = &'static [(&'static str, &'static str)];

macro_rules! on_memory {
    ($($name:ident: $profile:expr;)*) => {$(
        mod $name {
            use super::*;

            struct This(Memory);

            #[async_trait]
            impl Setting for This {
                const NOT_APPLICABLE: Sentences = NOT_KEPT;

                fn runtime() -> io::Result<Runtime> {
                    paused()
                }

                async fn start() -> Self {
                    This(Memory::new())
                }

                async fn endpoint(&self, name: &'static str) -> Builder {
                    let dialect = RackHd::new($profile).contract(ProbeClient::CONTRACT);
                    // RackHD's second would be over in the sentences that let time pass.
                    let builder = Endpoint::builder(name).timeout(Duration::from_secs(90));
                    builder.bind(dialect, self.0.clone(), Trust::insecure())
                }
            }

            semantics::suite!(This);
        }
    )*};
}

const AN_ERROR: &str = "a panic is an error like others";
const EVERY_INSTANCE: &str = "a request names no agent: every instance gets it, and the first reply counts";
const GONE: &str = "the queue of requests goes with its subscriber, and then nobody is there";
const IN_THE_KEY: &str = "the key that an event came by is its key: the body does not repeat it";
const LOST: &str = "a lost link ends its calls: `ReplyLost`, before their endpoint ends";
const NO_CNTR: &str = "there are no constructor arguments";
const NO_DATA: &str = "the caller's own data is not carried";
const NO_MODULE: &str = "an error has a name, and no module beside it";
const NO_NUMBER: &str = "a request has no serial number, by which it could be known again";
const NO_PUBLISHER: &str = "an event does not say whose it is";
const NO_TTL: &str = "how long a request may wait is known to the bus alone";
const NO_VERSION: &str = "a request names no version of its contract";

/// What the conventions cannot keep, and why.
const NOT_KEPT: Sentences = &[
    ("a_panic_ends_a_turn", AN_ERROR),
    ("a_panic_is_an_outcome", AN_ERROR),
    ("a_group_is_one_call_to_many_agents", EVERY_INSTANCE),
    ("a_group_tries_each_agent_again", EVERY_INSTANCE),
    ("answers_come_as_they_come", EVERY_INSTANCE),
    ("nobody_there_is_told_at_once", EVERY_INSTANCE),
    ("some_may_fail_and_the_others_are_there", EVERY_INSTANCE),
    ("the_first_result_is_enough", EVERY_INSTANCE),
    ("a_lost_subscription_is_begun_again", GONE),
    ("a_drain_ends_with_its_grace", GONE),
    ("a_redelivered_request_runs_again_only_if_idempotent", GONE),
    ("dropping_the_endpoint_stops_it", GONE),
    ("an_event_under_another_key_is_refused", IN_THE_KEY),
    ("pending_calls_end_with_the_endpoint", LOST),
    ("an_instance_of_its_own_is_made_when_its_turn_has_come", NO_CNTR),
    ("a_layer_knows_what_a_request_says_of_itself", NO_DATA),
    ("a_small_event_in_a_long_message_counts_with_all_of_it", NO_DATA),
    ("what_layers_decide_at_once_keeps_its_order", NO_DATA),
    ("an_unknown_exception_arrives_raw", NO_MODULE),
    ("a_late_outcome_is_asked_for_again_and_not_run_again", NO_NUMBER),
    ("a_request_is_acknowledged_after_its_outcome", NO_NUMBER),
    ("an_outcome_that_cannot_be_sent_is_told_when_its_request_comes_again", NO_NUMBER),
    ("layers_are_asked_once_for_each_request", NO_NUMBER),
    ("a_handler_publishes", NO_PUBLISHER),
    ("a_subscriber_may_choose_its_publishers", NO_PUBLISHER),
    ("an_event_goes_to_everybody_who_has_subscribed_to_its_key", NO_PUBLISHER),
    ("what_the_bus_drops_is_told_whatever_comes_after_it", NO_PUBLISHER),
    ("layers_are_told_how_every_request_ended", NO_TTL),
    ("no_time_is_rounded", NO_TTL),
    ("a_builder_may_choose_the_default_major", NO_VERSION),
    ("a_newer_minor_is_no_obstacle", NO_VERSION),
    ("each_major_of_a_sequential_contract_has_a_queue_of_its_own", NO_VERSION),
    ("majors_are_served_side_by_side", NO_VERSION),
    ("what_is_not_served_is_rejected_with_what_is", NO_VERSION),
    ("who_names_no_version_gets_the_lowest_major", NO_VERSION),
];

on_memory! {
    on: Profile::on();
    legacy: Profile::legacy();
}

/// What the document says is not kept, and why, is what is not.
#[test]
fn what_is_not_kept_is_written_down_with_its_reason() {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, why) in NOT_KEPT {
        reasons.entry(why).or_default().push(format!("`{name}`"));
    }
    let expected: BTreeSet<_> = reasons.into_iter().map(|(why, names)| format!("* {why}: {}", names.join(", "))).collect();
    let document = include_str!("../../docs/rackhd.md");
    let (_, section) = document.split_once("\n## 8. ").unwrap();
    let written: BTreeSet<_> = section.lines().filter(|line| line.starts_with("* ")).map(str::to_owned).collect();
    assert_eq!(written, expected);
}
