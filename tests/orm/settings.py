"""Django's settings for its own tests, and a test runner that writes how each test ended. `run.py` says where the server is."""

import json
import os
import unittest

from django.core.management import call_command
from django.test import TestCase, TransactionTestCase
from django.test.runner import DiscoverRunner

_PLACE = {"ENGINE": "django.db.backends.mysql", "HOST": "127.0.0.1", "PORT": os.environ["ORM_PORT"], "USER": os.environ["ORM_USER"],
          "PASSWORD": os.environ["ORM_PASSWORD"]}
DATABASES = {
    "default": _PLACE | {"NAME": "django", "TEST": {"CHARSET": "utf8mb4"}},
    "other": _PLACE | {"NAME": "other", "TEST": {"CHARSET": "utf8mb4"}},
}
SECRET_KEY = "django_tests_secret_key"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "settings.Runner"



def empty(self):
    """Empties all tables after a test. Unlike Django's own, it does not fill those for content types and permissions again, which
    takes a second."""
    for name in self._databases_names(include_mirrors=False):
        call_command("flush", verbosity=0, interactive=False, database=name, reset_sequences=False, inhibit_post_migrate=True)


if os.environ.get("ORM_AUTOCOMMIT"):
    # Django believes that nothing can be rolled back: no test runs inside a transaction.
    TestCase._databases_support_transactions = classmethod(lambda cls: False)
    TransactionTestCase._fixture_teardown = empty


class Result(unittest.TextTestResult):
    """Notes how each test ended. A subtest that fails makes its test fail, whatever comes after."""

    ended = {}

    def note(self, test, how, text=""):
        name = getattr(test, "test_case", test).id()
        if self.ended.get(name, ["passed"])[0] != "failed":
            self.ended[name] = [how, text]

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note(test, "passed")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.note(test, "passed")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, "failed", "unexpected success")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "skipped", reason)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, "failed", self._exc_info_to_string(err, test))

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, "failed", self._exc_info_to_string(err, test))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.note(test, "failed", self._exc_info_to_string(err, test))


class Runner(DiscoverRunner):
    def get_resultclass(self):
        return Result

    def run_suite(self, suite, **kwargs):
        result = super().run_suite(suite, **kwargs)
        with open(os.environ["ORM_RESULTS"], "w") as out:
            json.dump(Result.ended, out)
        return result
