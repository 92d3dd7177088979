"""Lines that are too long, as a reader would break them."""


def f(self):
    x = (
        self.some_thing_long_name.filter_by_something_long(
            aaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbb
        )
        .transpose(1, 2)
        .reshape(batch, time)
    )
    x = some(
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbb_ccccccccccccccc
    )
    x = some(
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbb_cccccc(
            ddddddddddddd
        )
    )
    x = [
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbb_ccccccccccccccc
    ]
    x = foo(
        a,
        key=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        if bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        else ccccccccccccccccccccccccccccccccccc,
    )
    x = foo(
        a,
        key=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        + ccccccccccccccccccccccccccccccccccc,
    )
    x = foo(
        a,
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        if bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        else ccccccccccccccccccccccccccccccccccc,
    )
    x = {
        "aaaaaaaaaaaaaaaa": aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        + bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        + ccccccccccccccccccccccccccccccccccc,
        "b": 3,
    }
    x = {
        "aaaaaaaaaaaaaaaa": aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb_ccccccccccccc
    }
    x = {
        "aaaaaaaaaaaaaaaa": aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbb(
            ccccccccccccc
        )
    }
    x = not aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb(
        ccccccccccccc, ddddd
    )
    x = -aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    x = -(
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_bbbbbbbbbbbbbbbbbbbbbb
        + bbbbbbbbbbbbbbbbbbbbbbbbbb
    )
    x = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa[
        bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb:ccccccccccccccccccccc, ddddddddddddddddddddd
    ]
    x = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa[
        bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb + 1 : ccccccccccccccccccccc
        - 1 : ddddddddddddddddddddd,
        ddddddddddddddddddddd,
    ]
    x = self.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
    xxxxxxxxxxxxxxxxxxxxxxxxx, yyyyyyyyyyyyyyyyyyyyyyyyyy, zzzzzzzzzzzzzzzzzzzz = (
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + bbbbbb(cccccc)
    )
    return aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa(
        ccccccccccccc
    ), bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb(dddddddddddddd, eee)
    return (
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa(ccccccccccccc),
        bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb(dddddddddddddd, eee),
        fff,
    )
    return (
        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa**bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        + dddddddddddddd**eee
    )
    if aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.dddddddddddddd.eeeeeeeeeeeeeeeeeeeeeeee:
        raise ValueError(
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa aaaaaa"
        )
    return f"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaaaaaaaaaa aaaaaaaaaaaa {fooooo} aaaaaaaaaaaaaa"
    super().get_config_and_everything(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) | {
        "width": self.width,
        "stride": self.stride,
    }
    return super().get_config_and_everything(aaaaaaaaaaaaaaaaaaaaaaa) | {
        "width": self.width,
        "stride": self.stride,
    }


def fooooooooooooooooooooooooooooooooooooooooooo(
    aaaaaaaaaaaaaaaaaaa: int, bbbbbbbbbbbbbbbbbbb: int
) -> tuple[int, str]:
    pass


def fooooooooooooooooooooooooooooooooooooooooooo(
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: int,
) -> tuple[int, str]:
    pass


def fooooooooooooooooooooooooooooooooooooooooooo(
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: int,
) -> tuple[int, str]:
    pass


def fooooooooooooooooooooooooooooooooooooooooooo() -> tuple[
    aaaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbbb
]:
    pass


def fooooooooooooooooooooooooooooooooooooooooooo() -> (
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb
):
    pass


with (
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbb(
        cccccccccccc, eeee, dd
    )
):
    pass


class Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa(
    Bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.Cccccccccccccccccccccc
):
    pass


for i, aaaaaaaaaaaaaaaaaaaa in enumerate(
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb
):
    pass
