"""Figures in a spec's own constants: `12 * depth * width^2` where elaboration counted 84,934,656.

`closed` is the way in. It asks `model` for the program in some names, tries others where a figure cannot be said
in these, has `turns` ask the same model with more turns where a loop has too few to tell, and lets nothing out that
does not give the number that was counted. `forms` is what it gives, `unsaid` the error of a figure that is none,
`reasons` why something stays a number. The rest in the order in which it is imported, what stands alone first:

- `names`, what is known of them: `conditions` (what a formula takes for granted; `congruences`, of remainders; `certain`,
  what holds anyway), `facts` (what the spec requires), `eligible` (which constants may be names), `parts` and `quotients`
  (sizes and constants that divide without remainder; `wanted`, those that would have to for loops to be said at once),
  `even` (quotients that leave nothing whatever names are), `powers` (what grows or shrinks geometrically), `settled` (what is
  divided or bounded again and again) and `normal`
  (amounts with powers, in one form);
- `blocks`, constants of blocks, concrete and generic at once: `values` and `reals` (what they are), `reading` (terms),
  `functions` (what specs call) and `constants` (who reads them, and notes what was decided);
- `tracing`, the program once more, for what adds up: `trace` (types inferred anew; `stretching`, what broadcasting
  decided), `bodies` (what it leaves), `sums` (their sum);
- `loops` in it, one turn said for all: `turning` (a loop), `plans` (how it is divided), `induction` (the proof), `courses`
  and `gathered` (sizes and lists of tensors that turns hand on; `updates`, what becomes of them by the expression of
  one turn), `reaching` (what all tensors of a list come to);
- `memory`, the program run on sizes alone: `programs` (it, with formulas for sizes), `running` (its figures),
  `following`, `changing`, `returning` and `laid` (a turn of a loop whose sizes change: its number, its forward pass,
  its backward pass, how tensors lie there), `widest` (the turn in which most lives), `stacks` (from how many layers
  on it holds) and `counted` (how many turns it takes), `ones` (which sizes may be 1), `cutting` (slices that are no views).
"""
