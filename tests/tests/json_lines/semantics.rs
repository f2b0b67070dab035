//! What a call means, in the provisioning agent's protocol: what of it the protocol can keep.

use std::io;

use async_trait::async_trait;
use rmi_core::{
    Endpoint, Trust,
    endpoint::Builder,
    protocol::{JsonLines, json_lines::Profile},
    testing::semantics::{self, Setting},
};
use rmi_tests::{clock::paused, wires::Listener};
use tokio::runtime::Runtime;

fn bound(listener: &Listener, name: &'static str, profile: Profile) -> Builder {
    let builder = Endpoint::builder(name);
    let table = |lines: JsonLines| {
        let lines = lines.no_commands().class("Admin", "admin").profile(profile);
        ["probe", "press", "lathe", "dhcp"].into_iter().fold(lines, |lines, class| lines.tasks(class, class))
    };
    if name == "agent" {
        builder.bind(table(JsonLines::server()), listener.clone(), Trust::insecure())
    } else {
        let caller = JsonLines::agent(name).peer_name("agent").handshake(true);
        builder.bind(table(caller), listener.dial(), Trust::insecure())
    }
}

type Sentences = &'static [(&'static str, &'static str)];

const BY_POSITION: &str = "the command line of `Admin` gives its arguments by position, and they have names here";
const LOST: &str = "a lost link ends its calls: `ReplyLost`, before their endpoint ends";
const NO_CANCEL: &str = "the protocol has no cancelling";
const NO_CHOICE: &str = "a command cannot say which statuses are wanted";
const NO_COMMAND: &str = "what is in no table is not sent";
const NO_CNTR: &str = "the protocol has no constructor arguments";
const NO_DATA: &str = "the protocol does not carry the caller's data, nor a date";
const NO_EVENTS: &str = "the protocol has no events";
const NO_GROUP: &str = "the protocol does not carry the group";
const NO_MEMORY: &str = "numbers are good for one link, and nothing is asked for again by them";
const NO_TTL: &str = "the protocol has no time to live";
const NO_VERSION: &str = "the protocol does not carry the contract's version";
const ONE_AGENT: &str = "this transport has one end that is dialled, and no other takes its place";
const ONE_ANSWER: &str = "a second answer to one command is fatal";
const SAME_LINK: &str = "answers come by the link that the command took";

/// What neither profile keeps.
const NEITHER: Sentences = &[
    ("an_endpoint_says_what_it_serves", BY_POSITION),
    ("pending_calls_end_with_the_endpoint", LOST),
    ("a_handler_is_told_that_it_is_cancelled", NO_CANCEL),
    ("cancelled_before_its_start_it_never_runs", NO_CANCEL),
    ("criteria_choose_by_the_data", NO_CANCEL),
    ("the_second_cancel_says_so", NO_CANCEL),
    ("who_waits_for_its_turn_can_be_cancelled", NO_CANCEL),
    ("only_the_statuses_that_were_asked_for_are_sent", NO_CHOICE),
    ("who_does_not_say_gets_every_status", NO_CHOICE),
    ("each_mistake_of_a_caller_has_its_code", NO_COMMAND),
    ("a_handler_publishes", NO_EVENTS),
    ("a_pattern_that_can_never_match_is_an_error", NO_EVENTS),
    ("a_subscriber_may_choose_its_publishers", NO_EVENTS),
    ("a_value_that_breaks_the_key_is_not_published", NO_EVENTS),
    ("an_event_goes_to_everybody_who_has_subscribed_to_its_key", NO_EVENTS),
    ("an_unknown_key_is_skipped_and_counted", NO_EVENTS),
    ("an_unreadable_event_is_told_and_the_next_one_comes", NO_EVENTS),
    ("closing_the_endpoint_ends_the_subscription", NO_EVENTS),
    ("events_come_in_the_order_of_their_publisher", NO_EVENTS),
    ("nobody_to_hear_an_event_is_no_error", NO_EVENTS),
    ("one_of_a_pool_gets_an_event", NO_EVENTS),
    ("a_group_is_one_call_to_many_agents", NO_GROUP),
    ("a_late_outcome_is_asked_for_again_and_not_run_again", NO_MEMORY),
    ("layers_are_asked_once_for_each_request", NO_MEMORY),
    ("a_layer_knows_what_a_request_says_of_itself", NO_DATA),
    ("what_layers_decide_at_once_keeps_its_order", NO_DATA),
    ("an_instance_of_its_own_is_made_when_its_turn_has_come", NO_CNTR),
    ("each_major_of_a_sequential_contract_has_a_queue_of_its_own", NO_VERSION),
    ("an_expired_request_never_runs", NO_TTL),
    ("layers_are_told_how_every_request_ended", NO_TTL),
    ("no_time_is_rounded", NO_TTL),
    ("the_shortest_and_the_longest_times_are_held", NO_TTL),
    ("who_waits_for_its_turn_can_expire", NO_TTL),
    ("a_builder_may_choose_the_default_major", NO_VERSION),
    ("a_newer_minor_is_no_obstacle", NO_VERSION),
    ("majors_are_served_side_by_side", NO_VERSION),
    ("what_is_not_served_is_rejected_with_what_is", NO_VERSION),
    ("a_redelivered_request_runs_again_only_if_idempotent", ONE_AGENT),
    ("pauses_grow_and_differ_and_honour_a_hint", ONE_AGENT),
    ("a_duplicate_of_a_finished_call_gets_the_stored_outcome", ONE_ANSWER),
    ("an_unverified_name_is_nobody", SAME_LINK),
];

const A_STRING: &str = "an error is a string: neither a class nor a code";
const NO_STATUSES: &str = "nothing says that a command was accepted or has begun";

/// What the deployed one does not keep beside that.
const ONLY_DOCUMENTED: Sentences = &[
    ("a_panic_ends_a_turn", A_STRING),
    ("a_panic_is_an_outcome", A_STRING),
    ("a_rejection_means_it_never_ran", A_STRING),
    ("a_typed_error_arrives_as_itself", A_STRING),
    ("an_unknown_exception_arrives_raw", A_STRING),
    ("limits_are_held", A_STRING),
    ("no_attempt_outlasts_the_total_time", A_STRING),
    ("what_a_layer_rejects_is_neither_accepted_nor_run", A_STRING),
    ("what_never_ran_is_tried_again_under_a_new_number", A_STRING),
    ("a_drain_lets_running_handlers_finish", NO_STATUSES),
    ("statuses_come_in_order", NO_STATUSES),
    ("the_phases_of_a_call_have_their_own_times", NO_STATUSES),
    ("who_waits_for_its_turn_is_rejected_by_a_drain", NO_STATUSES),
    ("who_names_no_version_gets_the_lowest_major", NO_VERSION),
];

/// There is one outcome for each; but the suite counts those that travel as they were encoded.
const REWRITTEN: &str = "the session writes a task's rejection anew when the task had been accepted";

/// What the documented one does not keep beside that.
const ONLY_DEPLOYED: Sentences = &[
    ("a_rejection_by_a_layer_is_the_requests_outcome", ONE_ANSWER),
    ("every_call_has_one_outcome", REWRITTEN),
    ("progress_never_waits", NO_CHOICE),
];

const fn both<const N: usize>(more: Sentences) -> [(&'static str, &'static str); N] {
    let mut all = [("", ""); N];
    let mut at = 0;
    while at < N {
        all[at] = if at < NEITHER.len() { NEITHER[at] } else { more[at - NEITHER.len()] };
        at += 1;
    }
    all
}

macro_rules! on_wires {
    ($($name:ident: $profile:expr, $not_applicable:expr;)*) => {$(
        mod $name {
            use super::*;

            struct This(Listener);

            #[async_trait]
            impl Setting for This {
                const NOT_APPLICABLE: Sentences = $not_applicable;

                fn runtime() -> io::Result<Runtime> {
                    paused()
                }

                async fn start() -> Self {
                    This(Listener::new())
                }

                async fn endpoint(&self, name: &'static str) -> Builder {
                    bound(&self.0, name, $profile)
                }
            }

            semantics::suite!(This);
        }
    )*};
}

on_wires! {
    deployed: Profile::Deployed, &both::<{ NEITHER.len() + ONLY_DOCUMENTED.len() }>(ONLY_DOCUMENTED);
    documented: Profile::Documented, &both::<{ NEITHER.len() + ONLY_DEPLOYED.len() }>(ONLY_DEPLOYED);
}
