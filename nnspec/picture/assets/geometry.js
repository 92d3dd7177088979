// Where everything stands: the same as nnspec/picture/geometry.py, which explains it, from the same plan.

function place(level, boxes) {
  const L = data.lengths;
  const cards = boxes.length;
  const items = level.leftOf.length;
  const joint = { left: L.joint, right: L.joint, height: 0, half: 0, outlets: [0], round: false };
  const box = (item) => (item < cards ? boxes[item] : joint);
  const x = new Array(items).fill(0);
  const layerOf = new Array(items);
  level.layers.forEach((layer, at) => layer.forEach((item) => { layerOf[item] = at; }));

  const space = (one, other) => (Math.min(one, other) < cards ? L.columnGap : L.joint);
  const rightOfLeft = (item) => {
    const other = level.leftOf[item];
    return other < 0 ? -Infinity : x[other] + box(other).right + space(item, other) + box(item).left;
  };
  const leftOfRight = (item) => {
    const other = level.rightOf[item];
    return other < 0 ? Infinity : x[other] - box(other).left - space(item, other) - box(item).right;
  };
  for (const column of level.right) {
    const at = Math.max(...level.columns[column].map(rightOfLeft));
    for (const item of level.columns[column]) x[item] = at;
  }
  for (const column of level.left) {
    const at = Math.min(...level.columns[column].map(leftOfRight));
    for (const item of level.columns[column]) x[item] = at;
  }

  const upper = (segment) => {
    const [above, , wire] = level.segments[segment];
    return above >= cards ? x[above] : x[above] + boxes[above].outlets[level.outlets[wire]];
  };
  const lower = (segment) => {
    const [, below, wire] = level.segments[segment];
    if (below >= cards) return x[below];
    const { half, round } = boxes[below];
    const [at, furthest] = level.inlets[wire];
    const room = round ? 0.75 * half : Math.max(0, half - L.corner);
    return x[below] + at * (furthest ? Math.min(L.inletStep, room / furthest) : 0);
  };

  const tops = [];
  const tracks = new Map();
  let y = 0;
  let bottom = 0;
  level.layers.forEach((layer, at) => {
    tops.push(y);
    bottom = y + Math.max(...layer.map((item) => box(item).height));
    const labelled = layer.some((item) => item < cards && boxes[item].outlets.length);
    const start = bottom + (labelled ? L.labelZone : L.bareZone);
    const count = assignTracks(level.gaps[at], start, upper, lower, tracks);
    y = start + Math.max(0, count - 1) * L.track + L.entry;
  });

  let least = Infinity;
  let most = -Infinity;
  for (let item = 0; item < items; item += 1) {
    least = Math.min(least, x[item] - box(item).left);
    most = Math.max(most, x[item] + box(item).right);
  }
  const dent = ({ half, round }, offset) => (
    round ? half - Math.sqrt(Math.max(0, half * half - offset * offset)) : 0
  );
  const wires = level.runs.map((run) => {
    const first = level.segments[run[0]][0];
    const last = level.segments[run[run.length - 1]][1];
    let at = upper(run[0]);
    const corners = [[at, tops[layerOf[first]] + box(first).height - dent(box(first), at - x[first])]];
    for (const segment of run) {
      const end = lower(segment);
      if (Math.abs(end - at) > 0 && tracks.has(segment)) {
        corners.push([at, tracks.get(segment)], [end, tracks.get(segment)]);
      }
      at = end;
    }
    corners.push([at, tops[layerOf[last]] + dent(box(last), at - x[last])]);
    return corners.map(([a, b]) => [a - least, b]);
  });
  return {
    x: x.slice(0, cards).map((each) => each - least),
    y: boxes.map((_, card) => tops[layerOf[card]]),
    width: most - least,
    height: bottom,
    axis: -least,
    wires,
  };
}

function assignTracks(gap, start, upper, lower, tracks) {
  const L = data.lengths;
  const meet = (a, b, low, high) => a < high + L.apart && low < b + L.apart;
  const leftward = [];
  const rightward = [];
  for (const outlet of gap) {
    const from = upper(outlet[0]);
    const ends = outlet.map(lower);
    const low = Math.min(from, ...ends);
    const high = Math.max(from, ...ends);
    if (high - low > L.straight) {
      (from - low > high - from ? leftward : rightward).push({ from, low, high, outlet });
    }
  }
  leftward.sort((a, b) => a.from - b.from);
  rightward.sort((a, b) => b.from - a.from);
  const spans = [];
  const free = (least, low, high) => {
    for (let track = least; track < spans.length; track += 1) {
      if (!spans[track].some(([a, b]) => meet(a, b, low, high))) return track;
    }
    return Math.max(least, spans.length);
  };
  for (const bends of [leftward, rightward]) {
    const floor = [];
    for (const { low, high, outlet } of bends) {
      let least = 0;
      for (const [a, b, track] of floor) if (meet(a, b, low, high)) least = Math.max(least, track + 1);
      const track = free(least, low, high);
      while (spans.length <= track) spans.push([]);
      spans[track].push([low, high]);
      floor.push([low, high, track]);
      for (const segment of outlet) tracks.set(segment, start + track * L.track);
    }
  }
  return spans.length;
}
