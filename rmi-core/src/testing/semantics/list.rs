//! Every sentence: the module it is in, its name, what it needs of a pair.

/// The sentences, in one place: `__rmi_semantics_each!(list [S])` and `__rmi_semantics_each!(tests [S])`.
#[doc(hidden)]
#[macro_export]
macro_rules! __rmi_semantics_each {
    ($what:ident [$setting:ty]) => {
        $crate::__rmi_semantics_each! { @$what [$setting]
            outcome::a_rejection_means_it_never_ran [Rejections]
            outcome::each_mistake_of_a_caller_has_its_code [Rejections]
            outcome::a_typed_error_arrives_as_itself
            outcome::an_unknown_exception_arrives_raw
            outcome::a_panic_is_an_outcome
            outcome::every_call_has_one_outcome [Rejections]
            outcome::a_redelivered_request_runs_again_only_if_idempotent [Redelivery]
            once::a_duplicate_of_a_running_call_gets_its_outcome [Serials]
            once::a_duplicate_of_a_finished_call_gets_the_stored_outcome [Serials]
            once::a_reused_serial_number_is_told_by_its_text [GlobalSerials Rejections]
            once::a_request_without_serial_number_is_served [GlobalSerials Rejections]
            once::a_request_is_acknowledged_after_its_outcome [Redelivery]
            once::an_outcome_that_cannot_be_sent_is_told_when_its_request_comes_again [Redelivery]
            once::a_redelivered_request_is_not_said_never_to_have_run [Redelivery Rejections]
            fresh::a_request_is_fresh_within_its_age_and_the_skew [Sealed Rejections]
            fresh::what_is_remembered_is_answered_however_old [Sealed Rejections]
            fresh::an_evicted_request_raises_the_floor [Sealed Rejections]
            fresh::a_forgotten_outcome_is_not_run_for [Sealed Rejections]
            fresh::one_principal_does_not_push_out_another [Sealed Rejections]
            replies::replies_come_to_a_volatile_address [ReplyAddresses Bus]
            replies::a_lost_link_ends_its_calls
            replies::replies_elsewhere_wait_for_their_reader [ReplyAddresses Durable]
            replies::replies_do_not_go_everywhere [ReplyAddresses Bus]
            replies::nobody_there_is_told_at_once [Unroutable]
            replies::a_full_reply_address_holds_up_nobody_else [ReplyAddresses Rejections]
            resume::a_call_survives_the_loss_of_its_link [Resume]
            resume::statuses_follow_a_call_to_its_new_address [Resume Statuses]
            resume::a_request_that_still_waits_on_the_bus_is_found [Resume Bus]
            resume::what_never_arrived_is_safe_to_repeat [Resume Rejections]
            resume::what_an_agent_cannot_know_is_unknown [Resume]
            resume::nothing_is_promised_of_what_is_still_to_be_sent [Resume]
            resume::a_peer_that_cannot_be_asked_loses_replies [Resume]
            resume::only_its_own_principal_resumes [Resume Sealed ReplyAddresses]
            resume::a_second_loss_begins_it_anew [Resume]
            resume::the_total_time_holds_over_a_loss [Resume]
            resume::many_calls_are_asked_for_together [Resume]
            resume::an_agent_that_does_not_answer_is_asked_again [Resume]
            resume::an_agent_without_room_is_asked_again [Resume Rejections]
            trust::a_sealed_binding_lets_nothing_else_in [Sealed]
            trust::the_unverified_are_told_little_and_seldom [Sealed Rejections]
            trust::an_unsigned_reply_does_not_count [Sealed]
            trust::a_reply_by_an_impostor_does_not_count [Sealed Bus]
            trust::signing_fails_closed [Sealed]
            trust::an_unverified_name_is_nobody
            trust::a_binding_can_be_narrowed [Rejections Admin]
            trust::callers_are_shown_what_they_can_reach [Admin]
            trust::bindings_have_their_own_trust [Rejections]
            outcome::limits_are_held [Rejections]
            time::the_total_time_covers_everything
            time::no_time_is_rounded
            time::the_shortest_and_the_longest_times_are_held
            time::an_expired_request_never_runs [Rejections]
            time::the_phases_of_a_call_have_their_own_times [Statuses]
            cancel::a_handler_is_told_that_it_is_cancelled [Admin]
            cancel::dropping_a_call_stops_nothing
            cancel::cancelled_before_its_start_it_never_runs [Admin]
            cancel::only_its_own_principal_cancels [Admin]
            cancel::admin_reaches_a_busy_agent [Admin]
            cancel::the_second_cancel_says_so [Admin]
            cancel::asking_an_agent_takes_no_longer_than_it_may [Lane]
            criteria::criteria_choose_by_the_data [Admin]
            criteria::each_operator_chooses_as_it_says [Admin]
            criteria::criteria_that_cannot_be_read_cancel_nothing [Admin]
            cancel::a_policy_lets_others_cancel [Admin Sealed]
            cancel::requests_of_one_number_are_cancelled_together [Admin Unsealed GlobalSerials]
            cancel::a_name_is_somebodys_at_its_own_binding [Admin]
            cancel::admin_falls_back_to_the_agents_own_address [Lane]
            cancel::what_waits_on_the_bus_is_cancelled_as_it_comes [Lane]
            running::only_the_statuses_that_were_asked_for_are_sent [Statuses]
            running::who_does_not_say_gets_every_status [Statuses]
            running::statuses_come_in_order [Statuses]
            running::progress_never_waits [Statuses]
            running::concurrency_is_held
            running::an_inline_handler_that_waits_moves_away
            versions::majors_are_served_side_by_side
            versions::who_names_no_version_gets_the_lowest_major
            versions::a_builder_may_choose_the_default_major
            versions::a_newer_minor_is_no_obstacle
            versions::what_is_not_served_is_rejected_with_what_is
            versions::an_endpoint_says_what_it_serves [Admin]
            versions::help_is_for_people [Admin]
            events::an_event_goes_to_everybody_who_has_subscribed_to_its_key [Events]
            events::events_come_in_the_order_of_their_publisher [Events]
            events::nobody_to_hear_an_event_is_no_error [Events]
            events::a_binding_without_events_says_so [NoEvents]
            events::a_handler_publishes [Events]
            events::one_of_a_pool_gets_an_event [Events]
            events::an_unknown_key_is_skipped_and_counted [Events]
            events::an_unreadable_event_is_told_and_the_next_one_comes [Events]
            events::a_value_that_breaks_the_key_is_not_published [Events]
            events::a_pattern_that_can_never_match_is_an_error [Events]
            events::a_subscriber_may_choose_its_publishers [Events]
            events::closing_the_endpoint_ends_the_subscription [Events]
            overflow::what_a_member_of_a_pool_leaves_is_for_the_others [Events Redelivery]
            overflow::a_member_of_a_pool_that_is_closed_takes_nothing_more [Events Redelivery]
            overflow::a_subscriber_that_waits_loses_nothing_and_holds_up_nobody [Events]
            overflow::what_the_bus_drops_the_subscriber_is_told [Events]
            overflow::what_the_bus_drops_is_told_whatever_comes_after_it [Events]
            overflow::a_lost_link_is_told_to_subscribers [Events]
            overflow::a_small_event_in_a_long_message_counts_with_all_of_it [Events]
            overflow::the_oldest_are_dropped_and_counted [Events]
            overflow::a_subscription_that_fails_ends_when_it_is_full [Events]
            overflow::dropping_a_subscription_unsubscribes [Events]
            overflow::a_subscription_that_the_transport_gives_up_says_so [Events]
            heard::an_event_under_another_key_is_refused [Events]
            heard::an_event_is_signed_once_for_all_its_subscribers [Events Sealed]
            heard::an_unsigned_event_is_not_let_in [Events Sealed]
            heard::a_replayed_event_is_not_taken_again [Events Sealed]
            heard::in_a_pool_each_member_knows_only_its_own_replays [Events Sealed]
            heard::an_unsealed_binding_cannot_tell_a_replayed_event [Events Unsealed]
            overload::a_bus_keeps_what_finds_no_room [Bus Redelivery]
            overload::what_finds_no_room_is_rejected_with_a_hint [Rejections Statuses]
            overload::who_tries_again_waits_as_long_as_an_overloaded_agent_says [Rejections]
            overload::one_principal_leaves_room_for_others [Rejections Statuses Sealed]
            overload::admin_reaches_an_overloaded_agent [Rejections Admin]
            overload::long_requests_wait_within_a_bound_of_their_own [Rejections Statuses]
            overload::whoever_leaves_the_queue_gives_back_its_place [Rejections Statuses Admin]
            overload::a_rejection_for_want_of_room_is_the_requests_one_outcome [Serials Rejections]
            sequence::sequential_requests_run_one_after_the_other
            sequence::an_agent_may_serve_any_contract_one_after_the_other
            sequence::sequential_requests_keep_the_order_of_their_admission
            sequence::who_waits_for_its_turn_can_be_cancelled [Admin]
            sequence::who_waits_for_its_turn_can_expire [Rejections]
            sequence::who_waits_for_its_turn_is_rejected_by_a_drain [Rejections]
            sequence::an_inline_handler_waits_for_its_turn_as_well
            sequence::a_panic_ends_a_turn
            sequence::an_instance_of_its_own_is_made_when_its_turn_has_come
            sequence::each_major_of_a_sequential_contract_has_a_queue_of_its_own
            sequence::each_sequential_contract_has_a_queue_of_its_own
            layers::layers_stand_in_the_order_in_which_they_are_added
            layers::a_layer_may_answer_in_the_place_of_the_method
            layers::what_a_layer_rejects_is_neither_accepted_nor_run [Rejections]
            layers::layers_are_asked_once_for_each_request
            layers::a_rejection_by_a_layer_is_the_requests_outcome [Serials Rejections]
            layers::a_layer_that_waits_holds_up_nobody
            layers::what_layers_decide_at_once_keeps_its_order
            layers::what_no_layer_decides_in_time_is_rejected [Rejections Admin]
            layers::admin_waits_for_layers_in_places_of_its_own [Rejections Admin]
            layers::a_layer_knows_what_a_request_says_of_itself
            rates::what_exceeds_a_rate_is_rejected_with_the_time_to_wait [Rejections]
            rates::a_client_that_tries_again_waits_for_its_rate [Rejections]
            rates::one_principal_does_not_use_up_the_rate_of_another [Rejections Sealed]
            rates::the_rate_of_all_is_not_for_admin [Rejections Admin]
            layers::a_layer_that_panics_lets_nothing_in
            layers::layers_are_told_how_every_request_ended
            retry::what_never_ran_is_tried_again_under_a_new_number [Rejections]
            retry::pauses_grow_and_differ_and_honour_a_hint [Rejections]
            retry::what_may_have_run_is_tried_again_only_if_it_is_idempotent
            retry::a_late_outcome_is_asked_for_again_and_not_run_again
            retry::a_lost_reply_is_asked_for_under_a_new_number
            retry::no_attempt_outlasts_the_total_time [Rejections]
            retry::one_ambiguous_attempt_makes_the_whole_call_ambiguous
            retry::what_the_method_answered_is_never_tried_again
            retry::a_one_way_call_is_sent_again_only_if_it_never_left
            groups::a_group_is_one_call_to_many_agents
            groups::answers_come_as_they_come
            groups::some_may_fail_and_the_others_are_there
            groups::the_first_result_is_enough
            groups::the_rest_of_a_group_is_cancelled [Admin]
            groups::a_quorum_is_so_many_results
            groups::a_group_tries_each_agent_again
            groups::a_large_group_is_sent_in_parts
            groups::the_time_is_the_whole_groups
            groups::dropping_a_group_stops_nothing
            end::a_drain_lets_running_handlers_finish [Statuses Rejections]
            end::a_drain_gives_back_what_it_has_not_admitted [Redelivery Rejections]
            end::a_drain_ends_with_its_grace
            end::pending_calls_end_with_the_endpoint
            end::dropping_the_endpoint_stops_it
            end::a_lost_subscription_is_begun_again [Bus]
            end::replies_that_come_no_more_are_asked_for [Resume Durable]
            end::calls_end_with_the_transport [ReplyAddresses]
            end::an_agent_without_requests_says_so
        }
    };
    (@list [$setting:ty] $($module:ident :: $name:ident $([$($need:ident)*])?)*) => {
        vec![$(Sentence {
            name: stringify!($name),
            needs: &[$($(Need::$need),*)?],
            run: |needs| Box::pin(async {
                let setting = <$setting>::start().await;
                if !needs.is_empty() && let Some(why) = Powers::of(&setting).await.lack(needs) {
                    return Verdict::NotApplicable(why);
                }
                $module::$name(&setting).await;
                Verdict::Held
            }),
        }),*]
    };
    (@tests [$setting:ty] $($module:ident :: $name:ident $([$($need:ident)*])?)*) => {
        $(
            #[test]
            fn $name() {
                $crate::testing::semantics::run::<$setting>(stringify!($name));
            }
        )*

        #[test]
        fn what_is_not_applicable_is_a_sentence() {
            $crate::testing::semantics::run_listed::<$setting>();
        }
    };
}
