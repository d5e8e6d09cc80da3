// The emulated vendor of trust/verify's tests, compiled for the tests here: they make evidence that the command judges.
#include "trust/verify/test_world.cc"  // NOLINT: a test helper of another folder, not a library
