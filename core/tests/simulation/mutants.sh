#!/usr/bin/env bash
# Proves that the simulation can fail: plants one deliberate bug after the other into a copy of the core, and expects the simulation,
# or else the machines' rule tests, to notice.
#
#   core/tests/simulation/mutants.sh [NAME...]     all, or those named
#
# The project itself is never changed. Each mutant is one substitution in one file (perl, whole file at once); one that no longer
# applies is an error, so that the list lives with the code. CALLBOARD_SEEDS says how many seeds a mutant gets (default 600).
set -euo pipefail

core=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR=${CALLBOARD_MUTANTS_TARGET:-$work/target} CARGO_TERM_COLOR=never
export CALLBOARD_SEEDS=${CALLBOARD_SEEDS:-600}

# name | file under src/ | substitution
mutants() {
    cat <<'LIST'
slot_is_never_freed|broker/worker.rs|s/self\.running -= 1;//
once_is_sent_again|broker/call.rs|s/effect < Effect::Once && //
attempts_have_no_end|broker/call.rs|s/self\.lost < limits::ATTEMPTS_MAX/true/
own_stricter_effect_is_ignored|broker/call.rs|s/self\.effect\.map_or\(effect, \|own\| own\.max\(effect\)\)/effect/
effect_is_forgotten_with_its_worker|broker/dispatch.rs|s/call\.effect = call\.effect\.max\(declared\);/let _ = declared;/
answered_twice|broker/ending.rs|s/let Some\(client\) = call\.client\.take\(\)/let Some(client) = call.client/
credit_is_lost|broker/client.rs|s/self\.owed\.calls \+= 1;//
credit_is_granted_but_not_kept|broker/client.rs|s/self\.left\.calls \+= owed\.calls;//
credit_goes_to_the_wrong_connection|broker/ending.rs|s/if client\.connection_number == call\.paid_on \{/if true {/
cancel_does_not_reach_the_worker|broker/ending.rs|s/self\.speak_to_worker\(now, worker, Envelope::Cancel\(cancel\), out\);/let _ = (now, worker, cancel, out);/
lost_client_keeps_its_calls|broker/departure.rs|s/for call in open \{\s*self\.abandon\(now, call, out\);\s*\}/drop(open);/
lost_workers_calls_are_given_up|broker/departure.rs|s/if !call\.may_run\(Effect::Read\)/if true/
resend_counts_as_new|broker/client.rs|s/let certain = self\.fresh \|\| !resend;/let certain = true;/
outcomes_are_never_forgotten|broker/remembered.rs|s/self\.outcomes\.first\(\)\.filter\(\|&\(number, _\)\| number < below\.0\)/self.outcomes.first().filter(|_| false)/
cancel_lost_with_its_connection_is_lost|broker/client.rs|s/self\.open\.first\(\)\.filter\(\|&\(number, _\)\| number < below\.0\)/self.open.first().filter(|_| false)/
slow_handshake_is_refused_for_ever|broker/proving.rs|s/Code::Unavailable, Executed::No, "the handshake/Code::DeadlineExceeded, Executed::No, "the handshake/
stopped_broker_speaks|broker/timers.rs|s/ && !self\.stopped//
last_attempt_speaks_for_all|broker/reports.rs|s/if call\.ran_before\(\) && failure\.executed == Executed::No/if false/
deadline_counts_twice|broker/call.rs|s/\|left\| now \+ left\)/|left| now + left + left)/
handback_ends_the_call|broker/reports.rs|s/if self\.calls\[call\.0\]\.client\.is_some\(\)/if false/
wait_for_ready_does_not_wait|broker/dispatch.rs|s/if call\.wait_for_ready && !unknown/if false/
silent_peer_is_kept|broker/presence.rs|s/HEARTBEATS_MISSED_MAX\)/100_000)/
reply_of_an_earlier_connection_counts|worker/outcomes.rs|s/self\.peer\.is_connected\(\) && id\.connection == self\.peer\.connection\(\)/self.peer.is_connected()/
old_calls_do_not_give_slots_back|worker/outcomes.rs|s/if self\.peer\.is_connected\(\) \{/if false {/
all_slots_are_said_to_be_free|worker/life.rs|s/offer\.free = self\.jobs\.free\(at\);/offer.free = offer.slots; let _ = at;/
expired_call_is_started|worker/outcomes.rs|s/next\.job\.deadline\.is_some_and\(\|deadline\| deadline <= now\)/false/
started_call_is_handed_back|worker/life.rs|s/for id in self\.jobs\.held\(\) \{\n                self\.jobs\.unhold\(id\);/for id in self.jobs.unstopped() {/
resend_is_not_flagged|client/sending.rs|s/self\.send_request\(now, key, number, true, out\)/self.send_request(now, key, number, false, out)/
open_calls_are_not_sent_again|client/life.rs|s/self\.resend_from = Some\(NUMBER_FIRST\);//
credit_survives_a_reconnect|client/life.rs|s/self\.credit = Credit \{ calls: welcome\.credit_calls/self.credit = Credit { calls: self.credit.calls + welcome.credit_calls/
done_is_stated_too_early|client/calls.rs|s/self\.open\.first\(\)\.map_or\(self\.next_number, \|\(number, _\)\| CallNumber\(number\)\)/self.next_number/
pongs_hide_what_is_done|client/mod.rs|s/if !self\.peer\.is_connected\(\) \{\n            return;/if true {\n            return;/
old_number_is_forgotten|sequence_map.rs|s/self\.old\.insert\(self\.first, value\);/drop(value);/
deadline_that_stays_is_forgotten|deadline_queue.rs|s/self\.others\.insert\(DeadlineKey \{ at, number: self\.first \}, key\);/let _ = (at, key);/
time_out_is_noticed_late|client/call.rs|s/EXPIRY_GRACE_MAX\.min\(timeout\.span \/ 10\)/EXPIRY_GRACE_MAX * 20/
proof_is_not_checked|broker/proving.rs|s/transcript\.is_proved\(Prover::Peer, key, &proof\)/transcript.is_proved(Prover::Peer, key, &proof) || true/
broker_need_not_prove_itself|peer/authentication.rs|s/if proved \{ Ok/if proved || true { Ok/
proof_of_one_side_is_the_others|auth/proof.rs|s/\("broker", peer\)/(peer, "broker")/
roles_of_a_key_do_not_count|broker/proving.rs|s/proved\.roles\.permit\(role\)/proved.roles.permit(role) || true/
stranger_may_try_again|broker/arrival.rs|s/\(Some\(Arrival::Unproven \{ \.\. \}\), _\) => return,//
stranger_is_told_at_once|broker/proving.rs|s/now \+ AUTHKEY_REFUSAL_DELAY/now + AUTHKEY_REFUSAL_DELAY \/ 1000/
items_are_sent_again_after_a_loss|broker/call.rs|s/!self\.is_touched\(\) && \(/(/
lost_items_pass_for_a_result|broker/call.rs|s/self\.has_items_of_handler\(\) && outcome\.is_ok\(\)/self.has_items_of_handler() \&\& false/
cancel_that_may_be_lost_is_told_once|client/life.rs|s/for number in self\.cancelled\.clone\(\)/for number in self.cancelled.clone().into_iter().filter(|_| false)/
streams_survive_their_clients_connection|broker/departure.rs|s/self\.end_streams_of\(now, key, out\);//
second_worker_has_no_credit|broker/streams.rs|s/self\.grant_to_handler\(now, worker, dispatch, credit, out\);\n        if ended/let _ = credit;\n        if ended/
credit_is_granted_twice|broker/streams.rs|s/self\.to_handler\.restart_reader\(\);//
end_is_lost_with_a_worker|broker/streams.rs|s/if ended \{/if false {/
item_for_an_absent_client_is_lost|broker/streams.rs|s/None => self\.break_off\(now, key, Code::Unavailable, LOST_CONNECTION, out\),/None => {}/
readers_never_grant_again|stream.rs|s/if self\.ended \|\| !half/if true/
worker_keeps_streams_of_a_lost_connection|worker/streams.rs|s/for job in self\.jobs\.streaming\(\)/for job in Vec::<JobId>::new()/
client_keeps_streams_of_a_lost_connection|client/life.rs|s/self\.end_streams\(out\);//
unbegun_handler_is_said_to_have_run|worker/outcomes.rs|s/false => Failure::new\(code, Executed::No/false => Failure::new(code, Executed::Yes/
started_is_said_before_it_has_begun|worker/outcomes.rs|s/out\.push\(Action::Look\(id\)\);/self.begun(now, id, out);/
call_goes_back_to_who_shunned_it_at_once|broker/reports.rs|s/self\.rest\(now, key, offer\);//
retries_have_no_budget|broker/departure.rs|s/if !service\.retries\.take\(now, &self\.settings\)/if false/
first_dispatches_earn_too_much|broker/retries.rs|s/\* TOKEN \/ 100/* TOKEN/
dead_letters_have_no_end|broker/dead.rs|s/self\.letters\.len\(\) > DEAD_CALLS_MAX \|\| //
time_is_counted_twice|broker/call.rs|s/self\.since = now;//
failure_has_no_name|client/call.rs|s/\(Some\(CallId \{ caller, number \}\), /(None, /
hard_limit_does_not_stop|broker/stuck.rs|s/self\.stop_running\(now, key, worker, dispatch, out\);/let _ = (worker, dispatch);/
what_was_read_stays_unread|broker/reports.rs|s/call\.detach\(\);\n        if self\.has_read\(key, number\)/call.detach();\n        if false/
who_reads_again_is_given_nothing|broker/unread.rs|s/self\.change_worker\(key, \|worker\| worker\.unread\.is_much = false\);/self.workers.get_mut(&key).expect("here").unread.is_much = false;/
limit_of_a_method_is_not_kept|broker/concurrency.rs|s/self\.running >= max/self.running > max + 1/
room_of_a_method_is_not_given_on|broker/concurrency.rs|s/if was_full \{/if false {/
lost_worker_keeps_the_room_of_a_method|broker/departure.rs|s/self\.leave_method\(key\);//
queue_serves_the_youngest|broker/queue.rs|s/fitting\.min_by_key/fitting.max_by_key/
parties_do_not_pay|broker/queue.rs|s/self\.parties\.pay\(party, cost\);//
stuck_worker_is_given_calls|broker/worker.rs|s/ && self\.stuck == 0//
limit_ends_with_its_caller|broker/timers.rs|s/call\.limits\.next\(\)\]/call.limits.next().filter(|_| call.client.is_some())]/
keys_have_no_turns|broker/keyed/turns.rs|s/if entry\.turn == Some\(key\) && entry\.held == 0 \{/if true {/
turn_is_lost_with_the_worker|broker/call.rs|s/self\.state = State::New;\n        self\.limits = Limits::default\(\);/self.state = State::New; self.limits = Limits::default(); self.turn = None;/
keys_in_use_are_not_registered|worker/life.rs|s/offer\.keys = self\.jobs\.keys\(at\);/offer.keys = Vec::new();/
keys_are_never_freed|worker/outcomes.rs|s/let freed = match &running\.key \{/let freed = match \&None::<crate::wire::affinity::AffinityKey> {/
fence_does_not_rise|broker/keyed/buckets.rs|s/self\.next_fence \+= 1;//
bucket_waits_for_a_worker_that_drains|broker/reports.rs|s/self\.unbind\(key\);//
turns_are_taken_out_of_order|broker/keyed.rs|s/calls\.first_key_value\(\)\?\.0;/calls.last_key_value()?.0;/
party_has_a_turn_for_each_session|broker/dispatch.rs|s/party: call\.party\.0, priority/party: session, priority/
priority_counts_between_parties|broker/queue.rs|s/self\.parties\.lane\(whose\.party, QUANTUM\)/self.parties.lane(whose.party, share(whose.priority))/
low_priority_starves|broker/queue.rs|s/Priority::Low => CALL_COST/Priority::Low => 0/
priority_is_lost_on_its_way|client/call.rs|s/priority: self\.new\.priority/priority: Priority::Normal/
party_may_have_all_that_waits|broker/party.rs|s/calls: max\.calls\.div_ceil\(PARTY_PART\)/calls: max.calls/
what_left_the_queue_counts_as_waiting|broker/ending.rs|s/self\.parties\.end_to_wait\(call\.party, call\.body\.len\(\)\);//
what_is_remembered_for_all_has_no_end|broker/outcomes.rs|s/self\.forget_outcomes\(\);//
those_who_are_here_are_forgotten_first|broker/outcomes.rs|s/\[false, true\]/[true, false]/
who_waits_too_long_goes_on|broker/queue.rs|s/oldest\.filter\(\|&\(at, \.\.\)\| at < then\)/oldest.filter(|_| false)/
shedding_spares_nobody|broker/dispatch.rs|s/queue\.waiting_since\(call\.party\.0, then, since\)\?/queue.iter().find(|\&call| since(call).is_some_and(|at| at < then))?/
what_waits_for_a_worker_counts_as_old|broker/dispatch.rs|s/method\.is_offered\(\) && method\.concurrency/method.concurrency/
turns_are_not_paid_for|broker/queue.rs|s/self\.parties\.pay\(party, cost\);//
part_of_a_broadcast_runs_anywhere|broker/dispatch.rs|s/if let Some\(of\) = call\.part_of \{/if let Some(of) = call.part_of.filter(|_| false) {/
lost_part_of_a_broadcast_has_no_answer|broker/departure.rs|s/if call\.part_of\.is_some\(\) \{/if false {/
broadcast_outlives_its_time|broker/ending.rs|s/State::Gathering => self\.end_broadcast\(now, key, out\),/State::Gathering => {}/
parts_outlive_their_client|broker/requests.rs|s/self\.stop_parts\(now, key, out\);//
parts_outlive_a_word_on_a_stream|broker/streams.rs|s/self\.stop_parts\(now, key, out\);//
part_waits_for_a_worker_that_drains|broker/reports.rs|s/self\.unbind\(key\);\n        self\.end_waiting_parts\(now, key, out\);/self.unbind(key); let _ = (now, \&out);/
silent_broker_is_kept|peer/mod.rs|s/State::Connected \{ \.\. \} if self\.liveness\.expires_at\(\) <= now => \{/State::Connected { .. } if false => {/
LIST
}

# A workspace of its own with a copy of the core in it.
copy() {
    cp -r "$core" "$work/core"
    # The project may change while this runs.
    cp -r "$core/src" "$work/sound"
    cp "$core/../Cargo.lock" "$work/"
    sed -e '/^\[package\]/,/^\[profile/{/^\[profile/!d}' -e 's/^members = .*/members = ["core"]/' -e '/^default-members/d' \
        "$core/../Cargo.toml" >"$work/Cargo.toml"
}

# What notices the bug in the copy: the simulation, the rules, or nothing.
verdict() {
    cd "$work"
    if ! cargo test -q -p callboard-core --test simulation --no-run >"$work/log" 2>&1; then
        echo 'DOES NOT COMPILE'
    elif ! timeout 300 cargo test -q -p callboard-core --test simulation keeps >"$work/log" 2>&1; then
        grep -m1 -oE 'seed [0-9]+ fails in step [0-9]+: .{0,110}|in some worlds .*' "$work/log" ||
            echo 'simulation: hangs'
    elif ! timeout 300 cargo test -q -p callboard-core --lib -- broker:: client:: worker:: peer:: >"$work/log" 2>&1; then
        echo "rules: $(grep -m1 -oE '^test .* FAILED|^    [a-z_:]+$' "$work/log" || true)"
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
