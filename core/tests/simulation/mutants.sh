#!/usr/bin/env bash
# Checks that the tests detect bugs: puts one deliberate bug after the other into a copy of the core, and expects the simulation, or
# else the unit tests of the machines, to fail.
#
#   core/tests/simulation/mutants.sh [NAME...]     all mutants, or the named ones
#
# The script does not change the project. Each mutant is one substitution in one file (perl, whole file at once). A substitution that
# no longer applies is an error, so that the list follows the code. CALLBOARD_SEEDS is the number of seeds per mutant (default 600).
set -euo pipefail

core=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR=${CALLBOARD_MUTANTS_TARGET:-$work/target} CARGO_TERM_COLOR=never
export CALLBOARD_SEEDS=${CALLBOARD_SEEDS:-600}
# Seconds for the tests of one mutant.
time_limit=300

# name | file under src/ | substitution
mutants() {
    cat <<'LIST'
slot_is_never_freed|broker/registry/slots.rs|s/self\.running -= 1;//
once_is_sent_again|broker/calls/call.rs|s/effect < Effect::Once && //
attempts_are_unlimited|broker/calls/call.rs|s/u32::from\(self\.lost\) < limits::ATTEMPTS_MAX/true/
stricter_effect_of_the_caller_is_ignored|broker/calls/call.rs|s/self\.effect\.map_or\(effect, \|own\| own\.max\(effect\)\)/effect/
effect_is_lost_with_its_worker|broker/coordinator/dispatch.rs|s/call\.effect = call\.effect\.max\(Some\(service\.method\(method\)\.effect\(\)\)\);//
client_is_answered_twice|broker/coordinator/dispatch.rs|s/let Some\(client\) = call\.client\.take\(\)/let Some(client) = call.client/
credit_is_lost|broker/sessions/credit.rs|s/self\.released\.calls \+= 1;//
granted_credit_is_not_added|broker/sessions/credit.rs|s/self\.available\.calls \+= released\.calls;//
credit_goes_to_the_wrong_connection|broker/sessions/mod.rs|s/if client\.connection_number == spent_on \{/if client.connection_number == spent_on || true {/
cancel_does_not_reach_the_worker|broker/coordinator/time_limits.rs|s/self\.registry\.send\(now, worker, Envelope::Cancel\(cancel\), out\);/let _ = (now, worker, cancel, out);/
lost_client_keeps_its_calls|broker/coordinator/peers.rs|s/for call in open \{\s*self\.abandon\(now, call, out\);\s*\}/let _ = (now, open);/
calls_of_a_lost_worker_are_not_retried|broker/coordinator/dispatch.rs|s/if !call\.may_run\(Effect::Read\)/if true/
resend_counts_as_new|broker/sessions/client.rs|s/let certain = self\.has_new_requests \|\| !resend;/let certain = true;/
acknowledged_outcomes_are_kept|broker/sessions/reply_cache.rs|s/self\.replies\.first\(\)\.filter\(\|&\(number, _\)\| number < below\.0\)/self.replies.first().filter(|_| false)/
done_below_does_not_cancel_open_calls|broker/sessions/client.rs|s/self\.open\.first\(\)\.filter\(\|&\(number, _\)\| number < below\.0\)/self.open.first().filter(|_| false)/
slow_handshake_is_rejected_permanently|broker/handshake/mod.rs|s/Failure::new\(Code::Unavailable, Executed::No, "the handshake/Failure::new(Code::DeadlineExceeded, Executed::No, "the handshake/
stopped_broker_sends|broker/coordinator/machine.rs|s/ && !self\.lifecycle\.stopped//
last_attempt_decides_for_all_attempts|broker/coordinator/messages.rs|s/if call\.ran_before\(\) && failure\.executed == Executed::No/if false/
timeout_counts_twice|broker/calls/call.rs|s/\|left\| now \+ left\)/|left| now + left + left)/
handback_ends_the_call|broker/coordinator/messages.rs|s/if self\.calls\[call\]\.client\.is_some\(\)/if false/
wait_for_ready_does_not_wait|broker/scheduling/admission.rs|s/if call\.wait_for_ready && !unknown/if false/
silent_peer_is_kept|broker/sessions/connection.rs|s/HEARTBEATS_MISSED_MAX\)/100_000)/
reply_of_an_earlier_connection_counts|worker/outcomes.rs|s/self\.peer\.is_connected\(\) && id\.connection == self\.peer\.connection\(\)/self.peer.is_connected()/
earlier_calls_do_not_free_their_slots|worker/outcomes.rs|s/if self\.peer\.is_connected\(\) \{/if false {/
registration_reports_every_slot_as_free|worker/lifecycle.rs|s/offer\.free = self\.jobs\.free\(at\);/offer.free = offer.slots; let _ = at;/
expired_call_is_started|worker/outcomes.rs|s/next\.job\.deadline\.is_some_and\(\|deadline\| deadline <= now\)/false/
started_call_is_handed_back|worker/lifecycle.rs|s/for id in self\.jobs\.prefetched\(\) \{\n                self\.jobs\.take_prefetched\(id\);/for id in self.jobs.unstopped() {/
resend_is_not_flagged|client/sending.rs|s/self\.send_request\(now, key, number, true, out\)/self.send_request(now, key, number, false, out)/
open_calls_are_not_sent_again|client/lifecycle.rs|s/self\.resend_from = Some\(NUMBER_FIRST\);//
credit_survives_a_reconnect|client/lifecycle.rs|s/self\.credit = Credit \{ calls: welcome\.credit_calls/self.credit = Credit { calls: self.credit.calls + welcome.credit_calls/
done_below_covers_open_calls|client/calls.rs|s/self\.open\.first\(\)\.map_or\(self\.next_number, \|\(number, _\)\| CallNumber\(number\)\)/self.next_number/
idle_client_sends_no_done_below|client/mod.rs|s/if !self\.peer\.is_connected\(\) \{\n            return;/if true {\n            return;/
old_number_is_forgotten|sequence_map.rs|s/self\.old\.insert\(self\.first, value\);/drop(value);/
old_deadline_is_forgotten|deadline_queue.rs|s/self\.others\.insert\(DeadlineKey \{ at, number: self\.first \}, key\);/let _ = (at, key);/
timeout_is_detected_late|client/call.rs|s/EXPIRY_GRACE_MAX\.min\(timeout\.span \/ 10\)/EXPIRY_GRACE_MAX * 20/
proof_of_the_peer_is_not_checked|auth/peers/directory.rs|s/transcript\.verify\(Prover::Peer, key, proof\)/transcript.verify(Prover::Peer, key, proof) || true/
proof_of_the_broker_is_not_checked|peer/authentication.rs|s/if proved \{ Ok/if proved || true { Ok/
proof_labels_are_swapped|auth/transcript.rs|s/\("broker", peer, Some/(peer, "broker", Some/
right_is_not_checked|broker/permissions.rs|s/if rights\.may_call\(method\) \|\|/if rights.may_call(method) || true ||/
right_is_not_checked_for_casts|broker/coordinator/messages.rs|s/if let Some\(text\) = denied \{/if let Some(text) = denied.filter(|_| !self.calls[call].cast) {/
right_is_not_checked_for_broadcasts|broker/coordinator/messages.rs|s/if let Some\(text\) = denied \{/if let Some(text) = denied.filter(|_| !self.calls[call].broadcast) {/
right_is_not_checked_for_streams|broker/coordinator/messages.rs|s/if let Some\(text\) = denied \{/if let Some(text) = denied.filter(|_| self.calls[call].streams.is_none()) {/
right_is_not_checked_for_registrations|broker/permissions.rs|s/is_none_or\(\|rights\| rights\.may_serve\(service\)\)/is_none_or(|rights| rights.may_serve(service) || true)/
changed_rights_do_not_apply|broker/coordinator/peers.rs|s/Ok\(principal\) => self\.sessions\.client_mut\(key\)\.set_principal\(principal\)/Ok(_) => {}/
revoked_client_stays|broker/coordinator/peers.rs|s/Err\(failure\) => self\.revoke_client\(now, key, \*failure, out\)/Err(_) => {}/
revoked_client_keeps_its_session|broker/coordinator/peers.rs|s/        self\.end_session\(now, key, out\);\n    \}\n\n    \/\/\/ Handles the goodbye of a client/    }\n\n    \/\/\/ Handles the goodbye of a client/
revoked_worker_stays|broker/coordinator/peers.rs|s/Err\(failure\) => self\.disconnect\(now, self\.registry\.worker\(key\)\.connection\.id, \*failure, out\)/Err(_) => {}/
denial_reports_a_resend_as_unexecuted|broker/coordinator/messages.rs|s/return self\.fail\(now, call, Code::PermissionDenied, text, out\);/return self.end(now, call, Err(Box::new(Failure::new(Code::PermissionDenied, Executed::No, text))), out);/
name_of_the_caller_is_not_sent|broker/coordinator/dispatch.rs|s/caller_name: call\.caller\.name\.clone\(\)/caller_name: None/
proof_omits_the_hello|auth/transcript.rs|s/&self\.begin\.hello,/\&[0; 32],/
proof_omits_the_channel|auth/transcript.rs|s/self\.begin\.channel\.as_ref\(\)/self.begin.channel.as_ref().filter(|_| false)/
proof_omits_the_welcome|auth/transcript.rs|s/Sha256::digest\(welcome\)/Sha256::digest(\&welcome[..0])/
authkey_of_another_public_key_is_accepted|broker/handshake/authentication.rs|s/if !entry\.is_authenticated_by/if false \&\& !entry.is_authenticated_by/
roles_of_a_key_are_ignored|broker/handshake/mod.rs|s/authenticated\.roles\.permits\(role\)/authenticated.roles.permits(role) || true/
rejected_peer_may_send_more_messages|broker/handshake/mod.rs|s/\(Some\(ConnectionState::Rejected \{ \.\. \}\), _\) => Ok\(None\),//
rejected_peer_is_answered_without_delay|broker/handshake/mod.rs|s/now \+ AUTHKEY_REJECTION_DELAY/now + AUTHKEY_REJECTION_DELAY \/ 1000/
call_with_items_is_retried|broker/calls/call.rs|s/!self\.has_items\(\) && \(/(/
result_with_lost_items_is_delivered|broker/calls/call.rs|s/self\.has_items_of_handler\(\) && outcome\.is_ok\(\)/self.has_items_of_handler() \&\& false/
cancel_that_may_be_lost_is_sent_once|client/lifecycle.rs|s/for number in self\.cancelled\.clone\(\)/for number in self.cancelled.clone().into_iter().filter(|_| false)/
streams_survive_their_clients_connection|broker/coordinator/peers.rs|s/self\.end_streams_of\(now, key, out\);//g
second_worker_has_no_credit|broker/flow/streams.rs|s/credit_to_handler\(call, streams\.to_caller\.left\(\)\)\.into_iter\(\)\.chain\(end\)/None.into_iter().chain(end)/
credit_is_granted_twice|broker/flow/call_streams.rs|s/self\.to_handler\.restart_reader\(\);//
end_is_lost_with_a_worker|broker/flow/streams.rs|s/streams\.to_handler\.is_ended\(\)\.then/false.then/
item_for_an_absent_client_is_lost|broker/coordinator/messages.rs|s/None => self\.break_stream\(now, key, StreamFailure::ClientLost, out\),/None => {}/
batch_is_numbered_as_one_item|stream.rs|s/self\.next \+= u64::from\(batch\.items\);/self.next += 1;/
batch_passes_as_one_item|stream.rs|s/(impl StreamRelay .*?)self\.next \+= u64::from\(batch\.items\);/$1self.next += 1;/s
readers_never_grant_again|stream.rs|s/if self\.ended \|\| !half/if true/
worker_keeps_streams_of_a_lost_connection|worker/streams.rs|s/for job in self\.jobs\.streaming\(\)/for job in Vec::<JobId>::new()/
client_keeps_streams_of_a_lost_connection|client/lifecycle.rs|s/self\.end_streams\(out\);//
unstarted_handler_counts_as_executed|worker/outcomes.rs|s/false => Failure::new\(code, Executed::No/false => Failure::new(code, Executed::Yes/
unstarted_handler_is_reported_as_started|worker/outcomes.rs|s/out\.push\(Action::QueryStarted\(id\)\);/self.on_started(now, id, out);/
handed_back_call_returns_to_the_same_offer|broker/coordinator/messages.rs|s/self\.pause_offer\(now, key, offer\);/let _ = offer;/
retries_are_unlimited|broker/coordinator/dispatch.rs|s/if !service\.retries\.take\(now, &self\.settings\)/if false/
retry_budget_grows_too_fast|broker/calls/retry_budget.rs|s/\* TOKEN \/ 100/* TOKEN/
dead_letters_are_unlimited|broker/calls/dead_letters.rs|s/self\.letters\.len\(\) > DEAD_LETTERS_MAX \|\| //
waiting_time_counts_twice|broker/calls/call.rs|s/self\.since = now;//
failure_has_no_call_id|client/call.rs|s/\(Some\(CallId \{ caller, number \}\), /(None, /
hard_limit_does_not_stop|broker/coordinator/dispatch.rs|s/self\.complete\(now, key, outcome, Extensions::NONE, out\);\s*self\.stop_running\(now, key, worker, dispatch, out\);/self.complete(now, key, outcome, Extensions::NONE, out); let _ = (worker, dispatch);/
read_dispatches_stay_in_flight|broker/coordinator/messages.rs|s/detach\(\);\n        if self\.record_read\(key, number\)/detach();\n        if false/
worker_that_read_again_gets_no_calls|broker/registry/mod.rs|s/self\.update_worker\(key, \|worker\| worker\.in_flight\.is_full = false\);/self.worker_mut(key).in_flight.is_full = false;/
shared_slot_is_never_freed|broker/registry/mod.rs|s/self\.update_shared_slots\(key, \|slots\| slots\.end_call\(end\)\);//
shared_slots_are_not_counted|broker/registry/mod.rs|s/self\.update_shared_slots\(at\.worker, Slots::begin_call\);//
shared_slot_of_an_earlier_call_is_never_freed|broker/registry/mod.rs|s/self\.update_shared_slots\(key, \|slots\| slots\.free_held\(calls\)\);//
shared_slots_are_ignored|broker/registry/worker.rs|s/ && self\.shared_slots\.as_ref\(\)\.is_none_or\(Slots::has_room\)//
freed_shared_slot_serves_one_service|broker/coordinator/messages.rs|s/self\.remove_call\(call\);\n        self\.fill_worker\(now, key, out\);/self.remove_call(call);\n        self.fill_offer(now, key, 0, out);/
service_starves_another_at_shared_slots|broker/registry/worker.rs|s/self\.next_offer = offer \+ 1;/let _ = offer;/
call_runs_without_a_shared_slot|worker/jobs.rs|s/slots\.has_free_slot\(\) && self\.has_free_shared_slot\(\)/slots.has_free_slot()/
prefetched_call_runs_without_a_shared_slot|worker/jobs.rs|s/Some\(shared\) if self\.running\.len\(\) < shared\.total =>/Some(_) if true =>/
freed_shared_slot_runs_no_call_of_another_service|worker/jobs.rs|s/None => &self\.offers\[ended\.\.=ended\],/_ if true => \&self.offers[ended..=ended], None => \&self.offers[..],/
prefetch_continues_behind_long_calls|broker/registry/slots.rs|s/self\.started >= self\.available\(\)/false/
started_calls_are_not_counted|broker/coordinator/dispatch.rs|s/self\.registry\.start_call\(\*worker, \*offer\);/let _ = (worker, offer);/
prefetch_returns_before_a_short_call|broker/registry/slots.rs|s/self\.last_was_long = started;/let _ = started;/
handback_behind_a_long_call_pauses_its_offer|broker/coordinator/messages.rs|s/if !is_blocked \{/if true {/
handed_back_call_loses_its_place|broker/coordinator/dispatch.rs|s/\*call\.queue_number\.get_or_insert_with\(\|\| queue\.next_number\(\)\)/*call.queue_number.insert(queue.next_number())/
handed_back_subcall_fails|broker/coordinator/messages.rs|s/\(is_subcall && is_blocked\)/false/
prefetched_calls_wait_behind_long_ones|worker/outcomes.rs|s/self\.hand_back_blocked\(now, out\);//
call_is_prefetched_behind_long_ones|worker/jobs.rs|s/\} else if self\.is_blocked\(offer\) \{/} else if false {/
earlier_calls_do_not_count_as_long|worker/lifecycle.rs|s/self\.jobs\.mark_all_long\(\);//
long_call_blocks_after_its_end|worker/jobs.rs|s/self\.offers\[running\.offer\]\.long -= usize::from\(running\.is_long\);//
paused_service_gets_calls|broker/registry/operator_limits.rs|s/self\.limit\.paused\n            \|\| //
paused_worker_gets_calls|broker/registry/worker.rs|s/ && !self\.paused//
resumed_service_is_not_filled|broker/coordinator/operate.rs|s/let waiting = service\.queue\.len\(\);\n        self\.deferred\.add\(DeferredWork::FillService\(key\)\);/let waiting = service.queue.len();/
rate_limit_stays_closed|broker/registry/token_bucket.rs|s/self\.opens_at\.filter\(\|&at\| at > now\)/self.opens_at.filter(|_| now > Time::ZERO)/
rate_limit_is_not_applied|broker/registry/token_bucket.rs|s/self\.opens_at = Some\(now \+ wait\)/self.opens_at = None::<Time>/
pause_is_lost_with_the_connection|broker/registry/mod.rs|s/worker\.paused = self\.paused_workers\.contains\(&\*\*worker\.name\);//
purged_calls_stay|broker/coordinator/operate.rs|s/self\.fail\(now, call, Code::Cancelled, "an operator purged/let _ = (now, call, out, "an operator purged/
drain_is_not_requested|broker/coordinator/operate.rs|s/Envelope::Drain, out/Envelope::Pong(0), out/
concurrency_limit_is_exceeded|broker/registry/method.rs|s/self\.running >= max/self.running > max + 1/
freed_concurrency_is_not_used|broker/registry/service.rs|s/let was_closed = .*?;/let was_closed = false;/
lost_worker_keeps_concurrency_of_a_method|broker/coordinator/dispatch.rs|s/self\.leave_method\(key\);//
queue_serves_the_youngest|broker/scheduling/queue.rs|s/fitting\.min_by_key/fitting.max_by_key/
tenants_do_not_pay|broker/scheduling/queue.rs|s/self\.tenants\.pay\(tenant, cost\);//
unresponsive_worker_gets_calls|broker/registry/worker.rs|s/ && self\.unresponsive_calls == 0//
time_limit_ends_with_its_caller|broker/calls/mod.rs|s/\|limits\| limits\.next\(\)\)/|limits| limits.next().filter(|_| call.client.is_some()))/
keys_have_no_owner|broker/affinity/mod.rs|s/if entry\.owner == Some\(key\) && entry\.held == 0 \{/if true {/
key_is_lost_with_the_worker|broker/calls/call.rs|s/self\.state = CallState::New;\n        self\.limits = None;/self.state = CallState::New; self.limits = None; self.affinity = None;/
keys_in_use_are_not_registered|worker/lifecycle.rs|s/offer\.keys = self\.jobs\.keys\(at\);/offer.keys = Vec::new();/
keys_are_never_freed|worker/outcomes.rs|s/let freed = match &running\.key \{/let freed = match \&None::<crate::wire::affinity::AffinityKey> {/
fencing_token_does_not_rise|broker/affinity/mod.rs|s/self\.next_fence \+= 1;//
bucket_stays_with_a_draining_worker|broker/coordinator/messages.rs|s/self\.unbind\(key\);//
calls_of_a_key_run_out_of_order|broker/affinity/key_table.rs|s/calls\.first_key_value\(\)\?\.0;/calls.last_key_value()?.0;/
tenant_has_a_turn_for_each_session|broker/calls/call.rs|s/tenant: self\.tenant\(\)\.0, priority/tenant: session, priority/
priority_counts_between_tenants|broker/scheduling/queue.rs|s/self\.tenants\.flow_mut\(key\.tenant, QUANTUM\)/self.tenants.flow_mut(key.tenant, share(key.priority))/
low_priority_starves|broker/scheduling/queue.rs|s/Priority::Low => CALL_COST/Priority::Low => 0/
priority_is_not_sent|client/call.rs|s/priority: self\.new\.priority/priority: Priority::Normal/
tenant_may_fill_the_backlog|broker/scheduling/tenants.rs|s/calls: max\.calls\.div_ceil\(TENANT_SHARE\)/calls: max.calls/
dequeued_call_stays_in_the_backlog|broker/coordinator/dispatch.rs|s/service\.queue\.remove\(position\);\n        \}\n        self\.tenants\.remove_waiting\(call\.tenant\(\), call\.body\.len\(\)\);/service.queue.remove(position);\n        }/
reply_caches_are_unbounded|broker/sessions/mod.rs|s/self\.evict_replies\(max\);//
connected_clients_are_evicted_first|broker/sessions/mod.rs|s/\[false, true\]/[true, false]/
old_backlog_is_not_shed|broker/scheduling/queue.rs|s/oldest\.filter\(\|&\(time, \.\.\)\| time < then\)/oldest.filter(|_| false)/
shedding_hits_other_tenants|broker/scheduling/admission.rs|s/queue\.waiting_since\(call\.tenant\(\)\.0, then, since\)\?/queue.iter().find(|\&call| since(call).is_some_and(|at| at < then))?/
unserved_call_counts_as_old|broker/scheduling/admission.rs|s/rule\.is_offered\(method\) && //
sessions_do_not_pay|broker/scheduling/queue.rs|s/priorities\.get_mut\(class\)\?\.pay\(session, cost\);//
subcall_runs_anywhere|broker/coordinator/dispatch.rs|s/match &call\.subcall_of \{\n            Some\(of\) =>/match call.subcall_of.as_ref().filter(|_| false) {\n            Some(of) =>/
lost_subcall_has_no_reply|broker/coordinator/dispatch.rs|s/if call\.subcall_of\.is_some\(\) \{/if false {/
broadcast_outlives_its_deadline|broker/coordinator/time_limits.rs|s/CallState::Aggregating => self\.end_broadcast\(now, key, out\),/CallState::Aggregating => {}/
subcalls_outlive_their_client|broker/coordinator/dispatch.rs|s/self\.stop_subcalls\(now, key, out\);\n                self\.remove_call\(key\);/self.remove_call(key);/
subcalls_outlive_a_stream_message|broker/coordinator/dispatch.rs|s/self\.stop_subcalls\(now, key, out\);\n                self\.end\(now/self.end(now/
subcall_waits_for_a_draining_worker|broker/coordinator/messages.rs|s/self\.unbind\(key\);\n        self\.end_waiting_subcalls\(now, key, out\);/self.unbind(key); let _ = (now, \&out);/
batch_outlives_its_turn|broker/registry/batch.rs|s/if self\.turn != turn \{/if false {/
batch_is_unlimited|broker/registry/batch.rs|s/self\.left = self\.left\.checked_sub\(handler_time\)\?;/self.left = self.left.saturating_sub(handler_time);/
batch_takes_prefetch|broker/registry/mod.rs|s/at\.has_free_slot\(offer\)/at.has_room(offer)/
handler_time_is_ignored|broker/coordinator/messages.rs|s/service\.method_mut\(method\)\.record_handler_time\(span\);/let _ = (method, span);/
silent_broker_is_kept|peer/mod.rs|s/State::Connected \{ \.\. \} if self\.liveness\.expires_at\(\) <= now => \{/State::Connected { .. } if false => {/
LIST
}

# Creates a separate workspace with a copy of the core.
copy() {
    cp -r "$core" "$work/core"
    # The project may change while this runs.
    cp -r "$core/src" "$work/sound"
    cp "$core/../Cargo.lock" "$work/"
    sed -e '/^\[package\]/,/^\[profile/{/^\[profile/!d}' -e 's/^members = .*/members = ["core"]/' -e '/^default-members/d' \
        "$core/../Cargo.toml" >"$work/Cargo.toml"
}

# Runs tests of the copy with a time limit: a bug may make them run for ever.
run_tests() {
    status=0
    timeout "$time_limit" cargo test -q -p callboard-core "$@" >"$work/log" 2>&1 || status=$?
    return "$status"
}

# Prints how the tests failed: the first line of the log that matches $1, or that they ran out of time.
failure() {
    if ((status == 124)); then
        echo "did not end within $time_limit s"
    else
        grep -m1 -oE "$1" "$work/log" || echo 'failed without a known message'
    fi
}

# Prints which test detects the bug in the copy: the simulation, the unit tests, or none.
verdict() {
    cd "$work"
    # Compiled before the time limit begins.
    if ! cargo test -q -p callboard-core --test simulation --lib --no-run >"$work/log" 2>&1; then
        echo 'DOES NOT COMPILE'
    elif ! run_tests --test simulation keeps; then
        echo "simulation: $(failure 'seed [0-9]+ fails in step [0-9]+: .{0,110}|in some worlds .*')"
    elif ! run_tests --lib -- broker:: client:: worker:: peer::; then
        echo "unit tests: $(failure '^    [a-z0-9_:]+$')"
    else
        echo 'NOT CAUGHT'
    fi
}

copy
missed=0 tried=0
while IFS='|' read -r name file substitution; do
    if (($# > 0)) && [[ " $* " != *" $name "* ]]; then continue; fi
    tried=$((tried + 1))
    cp "$work/sound/$file" "$work/core/src/$file"
    perl -0pi -e "$substitution" "$work/core/src/$file"
    if cmp -s "$work/sound/$file" "$work/core/src/$file"; then
        result='NO LONGER APPLIES'
    else
        result=$(verdict)
    fi
    cp "$work/sound/$file" "$work/core/src/$file"
    printf '%-40s %s\n' "$name" "$result"
    case $result in NO* | DOES*) missed=$((missed + 1)) ;; esac
done < <(mutants | sed 's/^\([^|]*|[^|]*\)|/\1|/')

echo "$((tried - missed)) of $tried mutants caught"
((missed == 0))
