import pytest

from merchgraph.tools.data.product_names import readable, readable_size, title, vocabulary

WORDS = vocabulary(["FROZEN PIZZA", "SINGLE SERVE", "O", "WITH SUGAR"])


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("FRZN ICE", "frozen ice"),
        ("ICE - CRUSHED/CUBED", "ice - crushed/cubed"),
        ("BREAD:ITALIAN/FRENCH", "bread: Italian/French"),
        ("SW GDS:DONUTS", "sweet goods: donuts"),
        ("PNT BTR/JELLY/JAMS", "peanut butter/jelly/jams"),
        ("MARGARINE  STICK", "margarine stick"),
        ("MISC. DAIRY", "miscellaneous dairy"),
        ("FEM. HYGN.NAPKINS", "feminine hygiene napkins"),
        ("TV/MOVIE-MAGAZINE", "TV/movie-magazine"),
        ("CHILDREN S ACTIVITY", "children's activity"),
        ("POTATOES RUSSET (BULK&BAG)", "potatoes russet"),
        ("MIXERS(CLUB SODA/SELTZERS)FLAV", "mixers flavored"),
        ("PUDDING&GELATIN CUPS/CANS", "pudding & gelatin cups/cans"),
        ("CHICKEN BREAST BONE IN", "chicken breast bone in"),
        ("DRUG GM", "drugstore and general merchandise"),
        ("", ""),
    ],
)
def test_source_words_become_readable(source: str, plain: str) -> None:
    assert readable(source, WORDS) == plain


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("CANDY BARS (SINGLES)(INCLUDING", "candy bars"),
        ("DAIRY CASE 100% PURE JUICE - O", "dairy case 100% pure juice"),
        ("FRZN SS PREMIUM ENTREES/DNRS/N", "frozen single serve premium entrees/dinners"),
        ("MAINSTREAM WHEAT/MULTIGRAIN BR", "mainstream wheat/multigrain bread"),
        ("SFT DRNK 2 LITER BTL CARB INCL", "soft drink 2 liter bottle carbonated"),
        ("DAIRY CASE TEA WITH SUGAR OR S", "dairy case tea with sugar"),
        ("SOFT DRINKS 12/18&15PK CAN CAR", "soft drinks 12/18 & 15-pack can"),
    ],
)
def test_what_the_source_cut_off_is_left_out(source: str, plain: str) -> None:
    assert len(source) == 30
    assert readable(source, WORDS) == plain


@pytest.mark.parametrize(
    ("source", "plain"),
    [("22 LB", "22 lb"), ("L      8 OZ", "8 oz"), ("1 GA", "1 gal"), ("1 DZ", "1 dozen"),
     ("PT", ""), ("CTN", ""), (None, ""), ("12 PK/12 OZ", "12 pack/12 oz"), ("(600) 4 LB", "4 lb"),
     ("36)1.12 OZ", "1.12 oz"),
     ("2.8 OZ/(6)", "2.8 oz"), ("2 L*", "2 l"), ("20 OZ BTL", "20 oz bottle")],
)  # fmt: skip
def test_a_size_without_an_amount_is_left_out(source: str | None, plain: str) -> None:
    assert readable_size(source) == plain


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("ice", "frozen ice", "22 lb", "national brand"), "Ice, 22 lb, national brand"),
        (("primal", "beef", "", "store brand"), "Beef: primal, store brand"),
        (("select beef", "beef", "", ""), "Select beef"),
        (("", "hosiery/socks", "", "store brand"), "Hosiery/socks, store brand"),
        (("", "", "1 ct", ""), "Unknown product, 1 ct"),
    ],
)
def test_a_title_leads_with_what_the_product_is(
    parts: tuple[str, str, str, str], expected: str
) -> None:
    assert title(*parts) == expected
