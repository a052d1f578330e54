"""Laws without scikit-learn's base class, in the hands of the real scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from lengthwise import LatencyLaw
from lengthwise.calibration.lawset import LawSet
from lengthwise.domain.model import find_model
from lengthwise.errors import InputError
from lengthwise.formulations import registry
from lengthwise.formulations.estimator import Estimator
from lengthwise.formulations.hachiya_patias import HachiyaPatias
from lengthwise.formulations.linear import Linear

LENGTHS = np.array([64, 128, 256, 512, 1024, 2048, 4096, 8192])
POINTS = pd.DataFrame({"phase": "prefill", "isl": LENGTHS})
SECONDS = 0.01 + 1e-4 * LENGTHS
BUILT_IN = [n for n in registry.names() if n not in ("xgboost", "lightgbm")]


class Holder(Estimator):
    def __init__(self, law: Linear | None = None, name: str = "x") -> None:
        self.law, self.name = law, name


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_clone_has_the_parameters_and_no_fit(name: str) -> None:
    law = registry.make(name)
    again = clone(law)
    assert type(again) is type(law)
    assert again is not law
    assert repr(again) == repr(law)
    assert again.get_params().keys() == law.get_params().keys()
    assert not [k for k in vars(again) if k.endswith("_")]


def test_a_clone_of_changed_parameters_keeps_them() -> None:
    for law in (LatencyLaw("linear", max_extrapolation=None), LawSet("power", pooling=False)):
        assert clone(law).get_params() == law.get_params() != type(law)().get_params()


def test_parameters_are_set_by_name_and_through_others() -> None:
    law = HachiyaPatias().set_params(e1="off", sharpness=4)
    assert (law.e1, law.sharpness) == ("off", 4)
    outer = Holder(registry.make("distserve")).set_params(name="y", law__pp=2)  # type: ignore[arg-type]
    assert outer.get_params()["law__pp"] == 2
    assert outer.get_params(deep=False).keys() == {"law", "name"}


def test_a_parameter_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"'e9'.*choose one of e1, e2"):
        LatencyLaw().set_params(e9="off")
    with pytest.raises(ValueError, match="leave it out"):
        Linear().set_params(slope=1)


def test_a_repr_names_what_was_changed() -> None:
    assert repr(HachiyaPatias()) == "HachiyaPatias()"
    assert repr(HachiyaPatias(e3="residual", tile=64)) == "HachiyaPatias(e3='residual', tile=64)"
    prior = {str(i): (0.0, 1.0) for i in range(500)}
    text = repr(HachiyaPatias(spec=find_model("llama-3.1-8b"), prior=prior))
    assert text.startswith("HachiyaPatias(prior={'0'")
    assert "..." in text
    assert len(text) < 710


def test_scikit_learn_knows_what_a_law_is() -> None:
    assert is_regressor(Linear())
    assert not is_classifier(Linear())
    assert get_tags(Linear()).target_tags.required
    assert not is_regressor(LatencyLaw())
    assert not get_tags(LatencyLaw()).target_tags.required


def test_scikit_learn_knows_whether_a_law_is_fitted() -> None:
    table = POINTS.assign(latency_ms=SECONDS * 1e3)
    for law, fitted in (
        (Linear(), Linear().fit(POINTS, SECONDS)),
        (LatencyLaw("linear"), LatencyLaw("linear").fit(table)),
    ):  # fmt: skip
        with pytest.raises(NotFittedError):
            check_is_fitted(law)
        check_is_fitted(fitted)


def test_a_pipeline_fits_and_predicts() -> None:
    longer = FunctionTransformer(lambda X: X.assign(isl=X["isl"] * 2))
    pipe = make_pipeline(longer, Linear()).fit(POINTS, SECONDS)
    alone = Linear().fit(POINTS, SECONDS)
    np.testing.assert_allclose(pipe.predict(POINTS), alone.predict(POINTS))
    assert pipe.score(POINTS, SECONDS) == pytest.approx(1.0)
    assert (
        clone(pipe).set_params(linear=HachiyaPatias(e1="off")).get_params()["linear__e1"] == "off"
    )


def test_a_pipeline_hands_weights_on() -> None:
    weight = np.where(LENGTHS < 1000, 1.0, 0.0)
    pipe = Pipeline([("law", Linear())]).fit(POINTS, SECONDS, law__sample_weight=weight)
    assert pipe["law"].n_points_ == int(weight.sum())


def test_cross_validation_scores_laws() -> None:
    scores = cross_val_score(Linear(), POINTS, SECONDS, cv=4)
    np.testing.assert_allclose(scores, 1.0)
    np.testing.assert_allclose(cross_val_predict(Linear(), POINTS, SECONDS, cv=2), SECONDS)


def test_a_search_chooses_the_better_term() -> None:
    seconds = 0.01 + 1e-5 * LENGTHS + 1e-8 * LENGTHS**2
    search = GridSearchCV(HachiyaPatias(), {"e1": ["off", "quadratic"]}, cv=4).fit(POINTS, seconds)
    assert search.best_params_ == {"e1": "quadratic"}


def test_a_score_is_that_of_scikit_learn() -> None:
    law = Linear().fit(POINTS, SECONDS)
    assert law.score(POINTS, SECONDS) == pytest.approx(1.0)
    off = law.score(POINTS, SECONDS[::-1], sample_weight=np.ones(len(LENGTHS)))
    assert off < 0


def test_laws_survive_pickling() -> None:
    law = Linear().fit(POINTS, SECONDS)
    again = pickle.loads(pickle.dumps(law))
    np.testing.assert_array_equal(again.predict(POINTS), law.predict(POINTS))


def test_a_pipeline_of_laws_is_drawn() -> None:
    assert "Linear" in Pipeline([("law", Linear())])._repr_html_()
