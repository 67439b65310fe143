// Exceptions, virtual calls, containers, threads and streams from C++. Dynamically linked.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Shape {
  virtual ~Shape() = default;
  virtual double area() const = 0;
  virtual std::string name() const { return "shape"; }
};

struct Square final : Shape {
  explicit Square(double side) : side(side) {
    if (side < 0)
      throw std::invalid_argument("a side is negative");
  }
  double area() const override { return side * side; }
  std::string name() const override { return "square"; }
  double side;
};

struct Circle final : Shape {
  explicit Circle(double radius) : radius(radius) {}
  double area() const override { return 3.0 * radius * radius; }
  double radius;
};

struct Guard {
  explicit Guard(int &count) : count(count) { ++count; }
  ~Guard() { --count; }
  int &count;
};

int deep(int level, int &open) {
  Guard guard(open);
  if (level == 0)
    throw std::out_of_range("the bottom");
  return deep(level - 1, open) + 1;
}

} // namespace

int main(int argc, char **argv) {
  std::vector<std::unique_ptr<Shape>> shapes;
  shapes.push_back(std::make_unique<Square>(2));
  shapes.push_back(std::make_unique<Circle>(1));
  int caught = 0, open = 0;
  try {
    shapes.push_back(std::make_unique<Square>(-1));
  } catch (const std::exception &error) {
    std::cout << "caught: " << error.what() << "\n";
    caught++;
  }
  try {
    deep(20, open);
  } catch (const std::out_of_range &error) {
    std::cout << "caught: " << error.what() << ", open " << open << "\n";
    caught++;
  }
  for (const auto &shape : shapes)
    std::cout << shape->name() << " " << shape->area() << "\n";

  auto later = std::async(std::launch::async, [] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (true)
      throw std::runtime_error("from a thread");
    return 1;
  });
  try {
    later.get();
  } catch (const std::runtime_error &error) {
    std::cout << "caught: " << error.what() << "\n";
    caught++;
  }

  const std::string name = argc > 1 ? argv[1] : "objects.out";
  {
    std::ofstream out(name);
    out << "portcullis scan policy run\n";
  }
  std::ifstream in(name);
  std::map<std::string, size_t> lengths;
  for (std::string word; in >> word;)
    lengths[word] = word.size();
  for (const auto &[word, length] : lengths)
    std::cout << word << " " << length << "\n";
  std::cout << "matches " << std::regex_match("abc123", std::regex("[a-z]+[0-9]+")) << "\n";
  std::remove(name.c_str());
  return caught == 3 ? 5 : 1;
}
