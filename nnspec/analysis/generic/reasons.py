"""Why a constant stays a number in a formula, or a formula holds for some constants only: the sentences' ends."""

COMPARED = "a condition of the spec compares it"
COUNTED = "a list of that many elements is made"
COMPUTED = "something is computed from it that no formula of integers says"
RULED = "an operator does something else for other values"
PLACED = "it says which element of a list is taken"

UNLIKE = "the turns of its loop are unlike"
FEWER_UNLIKE = "fewer turns of its loop are unlike the others"
ONE_TURN = "its loop takes one turn only"
TOO_FEW = "its loop takes too few turns to tell how its sizes change"
LISTED = "what its turns make is in a list"
NESTED = "a size changes from turn to turn of its loop, in which is another such loop"
ROUNDS = "a size changes from turn to turn of its loop, which does the same after several turns"
RATES = "a rate is 0 in some turns of its loop"

STACKED = "fewer layers take other memory"
LAID = "an axis of one element lies otherwise in memory"
