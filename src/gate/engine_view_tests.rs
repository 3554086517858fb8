use super::*;

#[rstest::rstest]
#[case::waiting(Runtime::Waiting, 1000, false)]
#[case::starting(Runtime::Starting, 299, false)]
#[case::never_listens(Runtime::Starting, 301, true)]
#[case::answers(Runtime::Running, 29, false)]
#[case::silent(Runtime::Running, 31, true)]
#[case::ended(Runtime::Ended { code: 1 }, 1000, false)]
fn only_a_started_engine_hangs(#[case] phase: Runtime, #[case] seconds: u64, #[case] hangs: bool) {
    let now = Instant::now();
    let mut view = RuntimeView::new(now);
    view.enter(phase, now);
    assert_eq!(view.hangs(now + Duration::from_secs(seconds)), hangs);
}

#[test]
fn a_sign_of_life_counts_for_the_engine_that_gave_it() {
    let now = Instant::now();
    let mut view = RuntimeView::new(now);
    view.enter(Runtime::Starting, now);
    view.enter(Runtime::Running, now);
    view.warm = true;
    let later = now + Duration::from_secs(25);
    view.sign = later;
    assert!(!view.hangs(later + Duration::from_secs(25)));
    view.enter(Runtime::Ended { code: 1 }, later);
    view.enter(Runtime::Starting, later);
    assert_eq!((view.run, view.warm), (2, false));
}

/// What happens, and after how many seconds.
#[derive(Clone, Copy)]
enum E {
    Starts,
    Listens,
    Serves,
    Lies,
    Silent,
    ChildEnds(RuntimeFault),
    Ends(i32),
    IsTold,
    Goes,
}

use E::{ChildEnds, Ends, Goes, IsTold, Lies, Listens, Serves, Silent, Starts};
use RuntimeFault::{Answers, Ended, Failing, Hangs, OutOfMemory};

#[rstest::rstest]
#[case::fine(&[(0, Starts), (9, Serves)], 9, None)]
#[case::once(&[(0, Starts), (0, Serves), (9, Ends(1))], 1, Some(Ended))]
#[case::again_and_again(&[(0, Starts), (0, Ends(1)), (1, Starts), (0, Ends(1)), (2, Starts), (0, Ends(1))], 1, Some(Failing))]
#[case::it_serves_between(&[(0, Starts), (0, Serves), (9, Ends(1)), (1, Starts), (0, Serves), (9, Ends(1)), (2, Starts), (0, Serves), (9, Ends(1)), (4, Starts), (0, Serves)], 299, Some(Failing))]
#[case::steady_again(&[(0, Starts), (0, Ends(1)), (1, Starts), (0, Ends(1)), (2, Starts), (0, Ends(1)), (4, Starts), (0, Serves)], 300, None)]
#[case::ends_long_apart(&[(0, Starts), (0, Serves), (300, Ends(1)), (0, Starts), (0, Serves), (300, Ends(1)), (0, Starts), (0, Serves), (300, Ends(1))], 0, Some(Ended))]
#[case::killed(&[(0, Starts), (0, Serves), (9, Ends(137)), (1, Starts)], 9, Some(OutOfMemory))]
#[case::killed_and_more(&[(0, Starts), (0, Ends(137)), (1, Starts), (0, Ends(1)), (2, Starts), (0, Ends(1))], 9, Some(OutOfMemory))]
#[case::silent(&[(0, Starts), (0, Serves)], 31, Some(Hangs))]
#[case::never_listens(&[(0, Starts)], 301, Some(Hangs))]
#[case::a_hang_that_the_kubelet_ended(&[(0, Starts), (301, IsTold), (0, Ends(143)), (0, Goes), (1, Starts)], 1, Some(Hangs))]
#[case::told_to_end(&[(0, Starts), (0, Serves), (9, IsTold), (0, Ends(0)), (0, Goes)], 1, None)]
#[case::its_container_died(&[(0, Starts), (0, Serves), (9, Goes)], 1, Some(Ended))]
#[case::nothing_ran(&[(0, Goes)], 1, None)]
#[case::lies(&[(0, Starts), (0, Serves), (9, Lies)], 1, Some(Answers))]
#[case::tells_the_truth_again(&[(0, Starts), (0, Serves), (9, Lies), (9, Serves)], 299, Some(Answers))]
#[case::for_long(&[(0, Starts), (0, Serves), (9, Lies), (9, Serves)], 300, None)]
#[case::lies_and_is_started_again(&[(0, Starts), (0, Serves), (9, Lies), (90, IsTold), (0, Goes), (1, Starts)], 1, Some(Answers))]
#[case::lies_now_and_then_at_its_start(&[(0, Starts), (0, Lies), (5, Lies), (5, Serves)], 1, None)]
#[case::lies_from_its_start_on(&[(0, Starts), (0, Listens), (0, Lies), (5, Lies), (5, Lies)], 1, Some(Answers))]
#[case::lies_and_dies(&[(0, Starts), (0, Serves), (9, Lies), (1, Ends(137))], 1, Some(OutOfMemory))]
#[case::lies_after_half_an_hour(&[(0, Starts), (0, Serves), (2_000, Lies)], 1, Some(Answers))]
#[case::works_in_its_loop(&[(0, Starts), (0, Serves), (9, Silent)], 1, Some(Hangs))]
#[case::and_answers_again(&[(0, Starts), (0, Serves), (9, Silent), (3, Silent), (3, Serves)], 1, None)]
#[case::a_child_ends(&[(0, Starts), (0, Serves), (9, ChildEnds(Ended))], 1, Some(Ended))]
#[case::one_after_the_other(&[(0, Starts), (0, Listens), (0, ChildEnds(Ended)), (1, ChildEnds(Ended)), (1, ChildEnds(Ended))], 1, Some(Failing))]
#[case::a_child_is_ended(&[(0, Starts), (0, Serves), (9, Silent), (60, ChildEnds(Hangs)), (1, Serves)], 1, Some(Hangs))]
#[case::it_goes_with_the_rest(&[(0, Starts), (0, Serves), (9, IsTold), (1, ChildEnds(Ended))], 1, None)]
fn faults(#[case] events: &[(u64, E)], #[case] after: u64, #[case] fault: Option<RuntimeFault>) {
    let mut now = Instant::now();
    let mut view = RuntimeView::new(now);
    for (seconds, event) in events {
        now += Duration::from_secs(*seconds);
        // It answers whatever it is asked, while it lives.
        view.sign = now;
        match event {
            Starts => view.enter(Runtime::Starting, now),
            Listens => view.enter(Runtime::Running, now),
            Serves => {
                // Launch says it once.
                if view.phase != Runtime::Running {
                    view.enter(Runtime::Running, now);
                }
                view.warmed(now);
            }
            Lies => view.answered_wrongly(now),
            Silent => view.troubled(Hangs, now),
            ChildEnds(fault) => view.failed(*fault, now),
            Ends(code) => view.enter(Runtime::Ended { code: *code }, now),
            IsTold => view.enter(Runtime::Stopping, now),
            Goes => view.gone(now),
        }
    }
    now += Duration::from_secs(after);
    if after > 31 && view.warm {
        view.sign = now;
    }
    assert_eq!(view.fault(now), fault);
}

/// It has a minute to mend itself; what never answered rightly is not mended by another start.
#[rstest::rstest]
#[case::mends_itself(true, 60, None)]
#[case::does_not(true, 61, Some(Lost::Wrong))]
#[case::never_did(false, 1_000, None)]
fn who_lies_for_long_is_started_again(
    #[case] served: bool,
    #[case] seconds: u64,
    #[case] lost: Option<Lost>,
) {
    let now = Instant::now();
    let mut view = RuntimeView::new(now);
    view.enter(Runtime::Starting, now);
    view.enter(Runtime::Running, now);
    if served {
        view.warmed(now);
    }
    for _ in 0..AGAIN_AND_AGAIN {
        view.answered_wrongly(now);
    }
    let later = now + Duration::from_secs(seconds);
    view.sign = later;
    assert!(view.answers_wrongly() && !view.warm);
    assert_eq!(view.lost(later), lost);
    view.warmed(later);
    assert_eq!((view.lost(later), view.answers_wrongly()), (None, false));
}

#[test]
fn an_engine_that_loads_for_ever_is_told_of_and_lives() {
    let now = Instant::now();
    let mut view = RuntimeView::new(now);
    view.enter(Runtime::Starting, now);
    view.enter(Runtime::Running, now);
    for (seconds, fault) in [(1_800, None), (1_801, Some(Hangs))] {
        let later = now + Duration::from_secs(seconds);
        view.sign = later;
        assert_eq!((view.fault(later), view.hangs(later)), (fault, false));
    }
}
