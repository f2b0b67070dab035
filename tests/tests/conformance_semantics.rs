//! What a call means, on every pair of a protocol and a transport that there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io;

use async_trait::async_trait;
use rmi_core::{
    Endpoint, Native, Trust,
    endpoint::Builder,
    testing::semantics::{self, Setting},
};
use rmi_tests::{lines::Lines, wires::Listener, world::World};
use tokio::runtime::Runtime;

/// Nothing that is timed takes any time.
fn paused() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()
}

macro_rules! native_on_memory {
    ($($name:ident: $world:expr, $not_applicable:expr;)*) => {$(
        mod $name {
            use super::*;

            struct This(World);

            #[async_trait]
            impl Setting for This {
                const NOT_APPLICABLE: &'static [(&'static str, &'static str)] = $not_applicable;

                fn runtime() -> io::Result<Runtime> {
                    paused()
                }

                async fn start() -> Self {
                    This($world)
                }

                async fn endpoint(&self, name: &'static str) -> Builder {
                    Endpoint::builder(name).bind(Native::default(), self.0.bus.clone(), self.0.trust(name)).clock(self.0.clock.clone())
                }
            }

            semantics::suite!(This);
        }
    )*};
}

native_on_memory! {
    native_sealed_on_memory: World::sealed(), &[];
    native_unsealed_on_memory: World::unsealed(), &[("only_its_own_principal_cancels", "nobody signs: all are one principal")];
}

mod lines_on_wires {
    use super::*;

    struct This(Listener);

    const NO_ADMIN: &str = "the dialect has no `Admin`, and no way to cancel";
    const NO_CLASS: &str = "the dialect has no rejections: a mistake is an exception like others";
    const NO_EVENTS: &str = "the dialect has no events";
    const NO_MEMORY: &str = "the dialect's numbers are good for one link, and nothing is asked for again by them";
    const ONE_CLASS: &str = "a link speaks with one class, of no version: here with the probe";
    const NO_STATUSES: &str = "the dialect has no statuses";

    #[async_trait]
    impl Setting for This {
        const NOT_APPLICABLE: &'static [(&'static str, &'static str)] = &[
            ("a_rejection_means_it_never_ran", NO_CLASS),
            ("each_mistake_of_a_caller_has_its_code", NO_CLASS),
            ("limits_are_held", NO_CLASS),
            ("an_expired_request_never_runs", NO_CLASS),
            ("a_typed_error_arrives_as_itself", "the dialect carries the text of an error, and not its class"),
            ("an_unknown_exception_arrives_raw", "the dialect carries the text of an error, and not its class"),
            ("a_panic_is_an_outcome", "the dialect has no aborts"),
            ("a_redelivered_request_runs_again_only_if_idempotent", "a link delivers nothing again"),
            ("replies_elsewhere_wait_for_their_reader", "replies come by the link that the request took"),
            ("a_handler_is_told_that_it_is_cancelled", NO_ADMIN),
            ("cancelled_before_its_start_it_never_runs", NO_ADMIN),
            ("admin_reaches_a_busy_agent", NO_ADMIN),
            ("the_second_cancel_says_so", NO_ADMIN),
            ("criteria_choose_by_the_data", NO_ADMIN),
            ("help_is_for_people", NO_ADMIN),
            ("the_phases_of_a_call_have_their_own_times", NO_STATUSES),
            ("statuses_come_in_order", NO_STATUSES),
            ("progress_never_waits", NO_STATUSES),
            ("a_drain_lets_running_handlers_finish", NO_STATUSES),
            ("pending_calls_end_with_the_endpoint", "its goodbye ends the link first, and the calls with it: `ReplyLost`"),
            ("a_builder_may_choose_the_default_major", ONE_CLASS),
            ("a_newer_minor_is_no_obstacle", ONE_CLASS),
            ("an_endpoint_says_what_it_serves", NO_ADMIN),
            ("majors_are_served_side_by_side", ONE_CLASS),
            ("what_is_not_served_is_rejected_with_what_is", ONE_CLASS),
            ("who_names_no_version_gets_the_lowest_major", ONE_CLASS),
            ("a_handler_publishes", NO_EVENTS),
            ("a_pattern_that_can_never_match_is_an_error", NO_EVENTS),
            ("a_subscriber_may_choose_its_publishers", NO_EVENTS),
            ("a_value_that_breaks_the_key_is_not_published", NO_EVENTS),
            ("an_event_goes_to_everybody_who_has_subscribed_to_its_key", NO_EVENTS),
            ("an_unreadable_event_is_told_and_the_next_one_comes", NO_EVENTS),
            ("closing_the_endpoint_ends_the_subscription", NO_EVENTS),
            ("an_unknown_key_is_skipped_and_counted", NO_EVENTS),
            ("events_come_in_the_order_of_their_publisher", NO_EVENTS),
            ("nobody_to_hear_an_event_is_no_error", NO_EVENTS),
            ("one_of_a_pool_gets_an_event", NO_EVENTS),
            ("a_panic_ends_a_turn", ONE_CLASS),
            ("an_inline_handler_waits_for_its_turn_as_well", ONE_CLASS),
            ("sequential_requests_run_one_after_the_other", ONE_CLASS),
            ("sequential_requests_keep_the_order_of_their_admission", ONE_CLASS),
            ("who_waits_for_its_turn_can_be_cancelled", ONE_CLASS),
            ("who_waits_for_its_turn_can_expire", ONE_CLASS),
            ("who_waits_for_its_turn_is_rejected_by_a_drain", ONE_CLASS),
            ("layers_are_asked_once_for_each_request", NO_MEMORY),
            ("what_a_layer_rejects_is_neither_accepted_nor_run", NO_CLASS),
            ("a_late_outcome_is_asked_for_again_and_not_run_again", NO_MEMORY),
            ("no_attempt_outlasts_the_total_time", NO_CLASS),
            ("pauses_grow_and_differ_and_honour_a_hint", NO_CLASS),
            ("what_never_ran_is_tried_again_under_a_new_number", NO_CLASS),
            ("a_group_is_one_call_to_many_agents", "the dialect does not carry the group"),
        ];

        fn runtime() -> io::Result<Runtime> {
            paused()
        }

        async fn start() -> Self {
            This(Listener::new())
        }

        async fn endpoint(&self, name: &'static str) -> Builder {
            let builder = Endpoint::builder(name);
            if name == "agent" {
                builder.bind(Lines::server("probe"), self.0.clone(), Trust::insecure())
            } else {
                builder.bind(Lines::agent("probe", name, "agent"), self.0.dial(), Trust::insecure())
            }
        }
    }

    semantics::suite!(This);
}
