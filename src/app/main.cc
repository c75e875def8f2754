#include "app/cli.h"

int main(int argc, char** argv) { return hf::app::run(argc, argv); }
