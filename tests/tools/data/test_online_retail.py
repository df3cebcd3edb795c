from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from merchgraph.runtime.errors import DataError, SetupError
from merchgraph.runtime.settings import settings, use_settings
from merchgraph.tools.data import online_retail, shops
from merchgraph.tools.data.online_retail import FILE, GUEST, readable
from merchgraph.tools.data.splits import split_at
from merchgraph.tools.data.tables import Shop

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
ROWS = """\
536365,85123A,WHITE HEART ,6,2010-12-01 08:26:00,2.50,17850,France
536365,71053,WHITE LANTERN,1,2010-12-01 08:26:00,3.39,17850,France
536365,85123A,WHITE HEART ,2,2010-12-01 08:27:00,4.50,17850,France
536366,85123A,HEART OLD NAME,1,2010-12-01 09:00:00,3.50,,France
C536367,71053,WHITE LANTERN,-1,2010-12-02 09:00:00,3.39,17850,France
536368,71053,lost,-5,2010-12-02 09:00:00,3.39,,France
536369,71053,found,5,2010-12-02 09:00:00,0,,France
536370,POST,POSTAGE,1,2010-12-02 09:00:00,18.00,17850,France
536371,23444,Next Day Carriage,1,2010-12-02 09:00:00,15.00,17850,France
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder with the file of ROWS."""
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_bytes(gzip.compress(f"{HEADER}\n{ROWS}".encode(), mtime=0))
    with use_settings(data=tmp_path):
        yield tmp_path


@pytest.fixture(scope="session")
def retail(data_cache: Path) -> Shop:
    if not (settings().data / FILE).is_file():
        pytest.skip(f"{settings().data / FILE} is not there; set MERCHGRAPH_DATA to test it")
    with use_settings(cache=data_cache):
        return online_retail.load()


def test_each_cleaning_rule_removes_as_many_rows_as_the_docstring_says(retail: Shop) -> None:
    removed = retail.extras["removed"].lazy().collect()
    counts = dict(removed.iter_rows())
    assert list(counts) == ["cancelled", "quantity", "price", "code", "repeated"]
    assert len(retail.events) == 541_909 - sum(counts.values()) == 517_256
    doc = online_retail.load.__doc__ or ""
    assert all(f"{rows:,}" in doc for rows in (*counts.values(), 541_909, 517_256))


def test_it_has_the_counts_of_an_independent_reading(retail: Shop) -> None:
    train, test = split_at(retail.events, datetime(2011, 11, 11))
    often = train.frame.group_by("item").len().filter(pl.col("len") >= 20)
    kept = [part.frame.join(often, on="item", how="semi") for part in (train, test)]
    assert (len(retail.items), often.height) == (3_900, 2_706)
    assert [part.height for part in kept] == [427_972, 77_897]
    assert [part["session"].n_unique() for part in kept] == [17_042, 2_640]
    users = pl.concat(kept)["user"].unique()
    assert (~users.str.starts_with(GUEST)).sum() == 4_327


def test_every_title_is_readable(retail: Shop) -> None:
    titles = retail.items.frame["title"]
    odd = titles.str.contains(r"^\W|  |[\s,]$|\*| ,|(?i:\b(?:s|set)/\d)|[A-Z]{4,}")
    assert titles.filter(odd).to_list() == []
    assert retail.items.row("85123A").title == "White hanging heart t-light holder"
    assert retail.items.row("85123A").text == "White hanging heart t-light holder"


def test_a_customer_has_a_history_and_a_guest_has_one_basket(folder: Path) -> None:
    store = online_retail.load()
    baskets = store.history("17850")
    assert [(basket.session, basket.items) for basket in baskets] == [
        ("536365", ("85123A", "71053")),
        ("536371", ("23444",)),
    ]
    assert store.history("guest/536366")[0].items == ("85123A",)
    assert store.events.users == ("17850", "guest/536366")


def test_an_item_twice_on_an_invoice_is_added_up(folder: Path) -> None:
    row = online_retail.load().events.of("17850").row(0, named=True)
    assert (row["quantity"], row["price"]) == (8, 3.0)
    assert row["time"] == datetime(2010, 12, 1, 8, 26)
    assert row["country"] == "France"


def test_the_most_frequent_description_and_the_median_price_count(folder: Path) -> None:
    heart = online_retail.load().items.row("85123A")
    assert (heart.title, heart.price, heart.category) == ("White heart", 3.5, "")


def test_a_service_is_no_goods(folder: Path) -> None:
    items = online_retail.load().items.frame
    assert items.filter(~pl.col("sellable"))["title"].to_list() == ["Next day carriage"]


def test_the_removed_rows_are_counted_by_rule(folder: Path) -> None:
    removed = online_retail.load().extras["removed"].lazy().collect()
    assert dict(removed.iter_rows()) == {
        "cancelled": 1, "quantity": 1, "price": 1, "code": 1, "repeated": 1,
    }  # fmt: skip


def test_a_second_load_comes_from_the_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = online_retail.load()
    monkeypatch.setattr(online_retail, "_build", None)
    again = online_retail.load()
    assert again.fingerprint == first.fingerprint
    assert again.events.frame.equals(first.events.frame)


def test_it_is_a_shop_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shops, "_shops", {})
    assert shops.shop("online_retail").name == "online_retail"
    with pytest.raises(SetupError, match="did you mean 'online_retail'"):
        shops.shop("onlineretail")


@pytest.mark.parametrize(
    ("description", "title"),
    [
        ("WHITE HANGING HEART T-LIGHT HOLDER", "White hanging heart t-light holder"),
        ("SET/6 FRUIT SALAD  PAPER CUPS ", "Set of 6 fruit salad paper cups"),
        ("S/4 ICON COASTER,ELVIS LIVES", "Set of 4 icon coaster, Elvis lives"),
        ("ROUND SNACK BOXES SET OF4 WOODLAND", "Round snack boxes set of 4 woodland"),
        ("SET3 BOOK BOX GREEN", "Set of 3 book box green"),
        ("DIAMANTE HAIR GRIP PACK/2 RUBY", "Diamante hair grip pack of 2 ruby"),
        ("LUNCH BOX I LOVE LONDON", "Lunch box I love London"),
        ('LETTER "P" BLING KEY RING', 'Letter "P" bling key ring'),
        ("HEN HOUSE W FAMILY IN BARN & NEST", "Hen house with family in barn & nest"),
        ("NURSERY A,B,C PAINTED LETTERS", "Nursery a,b,c painted letters"),
        ("ELEPHANT, BIRTHDAY CARD,", "Elephant, birthday card"),
        ("*USB Office Mirror Ball", "USB office mirror ball"),
        ("SILVER M.O.P ORBIT BRACELET", "Silver mother of pearl orbit bracelet"),
        ("UNION JACK FLAG LUGGAGE TAG", "Union Jack flag luggage tag"),
        ("WRAP 50'S  CHRISTMAS", "Wrap 50's Christmas"),
        ("CHARLIE+LOLA MUG", "Charlie+Lola mug"),
        ("LUNCH BAG  BLACK SKULL.", "Lunch bag black skull"),
    ],
)
def test_descriptions_become_titles(description: str, title: str) -> None:
    assert readable(description) == title


def test_an_absent_folder_is_named_with_its_setting(tmp_path: Path) -> None:
    with (
        use_settings(data=tmp_path),
        pytest.raises(SetupError, match=r"uci_online_retail/online_retail.csv.gz.*MERCHGRAPH_DATA"),
    ):
        online_retail.load()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "the column 'InvoiceNo' is missing"),
        (
            gzip.compress(f"{HEADER}\n1,12345,T,six,2010-12-01 08:26:00,1,7,F\n".encode(), mtime=0),
            "six",
        ),
        (gzip.compress(f"{HEADER}\n1,12345,T,6,yesterday,1,7,F\n".encode(), mtime=0), "yesterday"),
        (gzip.compress(f"{HEADER}\n{ROWS}".encode(), mtime=0)[:150], "cannot be read as the table"),
        (b"", "cannot be read as the table"),
    ],
)
def test_a_damaged_file_is_refused(folder: Path, content: bytes, problem: str) -> None:
    (folder / FILE).write_bytes(content)
    with pytest.raises(DataError, match=r"^(.*/)?online_retail.csv.gz: ") as caught:
        online_retail.load()
    assert problem in str(caught.value)
