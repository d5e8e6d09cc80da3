#include "gpu-emulator/guest/driver/driver_identity.h"

#include <cstdlib>

#include "base/log.h"

namespace ccgpu::driver {
namespace {

// Public, and meant to be: see the header. RSA with 3072 bits, which the H100's profile demands (RSAPSS_3072); made for
// this file and used nowhere else.
constexpr char kKeyThatIsNoSecret[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIG/QIBADANBgkqhkiG9w0BAQEFAASCBucwggbjAgEAAoIBgQCmNflHiw6kOodB\n"
    "Lox8I4oVOQwJMJuIOsO1Hb6lVimNBb2qqTbNByk+61MuRQYws+yab/EASB7YeUcT\n"
    "ONLp3cGE/nz/jUoDwnSqDRo5HOvLmKvRtvwzu6uiFyvk71AyB0f9Fc7AoeeYB4Vm\n"
    "2+1ROKmOALL+enAm2/bv3UucmyafadED3O6YMENEiVXLQg48MUu1U2M35ljGOLiE\n"
    "VlDu3S/HEEFngwgvmwDlcqmNtu2sDp1vaHZ20PIlxVFxYCeSDp50eBa91AErBpeA\n"
    "o1MppdrJjklwbCaHwrUM+svsx/VhTngdtVZH35M5xtjmMgDSwrG8fJNBclPIey/k\n"
    "/F7HB21n2EaTLDLkFTKTG5zKTSToOnffDuTP2aK1WAoA0/R7KvWjlENvkvtDqNKA\n"
    "d/uz8BSN3LqiGtnkgPO+PbCRtouHpKAIlu6SFb6Nyyj7Nz8kb0gVtULu4j37BR3i\n"
    "B7hNC13b1KmeRnJ4wxBXUvRKyHgePnl8s7g6M1YPawolgox13UcCAwEAAQKCAYAP\n"
    "xv3TsbqBEmE2acHCIul/nDutP6Tz6IgdUCaBsU0eatYXNhrSmYRryZDKypiM1Pd3\n"
    "rXqWCUKMT+7UP0eeFYPCKRoadAH7m2DRp46+ryUe3W4p6RHFo2HmcAalo6XcKd7G\n"
    "gmRu2q+OOeCK5AOB+zv1E9Hp4Bt3RNgK6tm7kuq2pSfHExi+743jGpo/QhTx18gU\n"
    "/UZkzwPMRSQWw87I7cwUPFHJDqIfSrpqDVlU73FeLMD7C1J7ctgZh8J0XalD7wkq\n"
    "Jm3osi3Le3n2YcxQC3bVocZ2TESTRCcWINbsb2ZRAr9gih8Pb4n5nAvb+0CAE1ye\n"
    "rijjSzbZmlGWmh8ECDFp6PthwszPb/mQ+cUKqBbJ/0XjO2oIX8S5sZImnjfrJ9yV\n"
    "YvXHf1E/Y71Vxf7lKpGKOLZv3USbwSUJvJyF4CF48+O0cb7cDdf0o2nniD6do6Gk\n"
    "JDjlKMR3hzJbd7x8Vs7HQn/kpnwm4vtY2YA8ut3AQwr0/AQ8m3zCbCE5E3Xwz5EC\n"
    "gcEA5fk+/fyBxZHpTDsT0cqD3njgGa41X5SBJb5DFJYbCOS47Gd7XOJCZgVg8xk9\n"
    "vmOyw+DdmAleQAmYDvOKPp2MmiHaqO7QQ/x06CNVcDszyYAJ9EOBEBwem+IHOVee\n"
    "myHa+NJN7liPvenexN3EI/EcKzbh15DwAI6ooFbUuG8k/cgZbu0TyHf5iIbr4pat\n"
    "n7CVlfVdVFt7YD9IC7J8akZXBG4RpTDcltgc2u8Hd/6m7YfUNTDAsic9GXLmqRbg\n"
    "TSuZAoHBALkFZ2bzv4X+uT0upg/5rDhhk/fb57YfC3C5jIlrJS6Z4KLxSDEgkK/0\n"
    "GycwcfUkqA8A4FuW4K1O2pYOhlb7k0Vc/RCgSeJGtNKLEDuyAC1/tjLWXbVg4ZNL\n"
    "9gPBsaBXy6Wh786hD5pyAtryIQvXWp8MCebSUeC/MUdleDPIuT+cOJB34og9WkFU\n"
    "7HFNJj4pLzIad/Y5fnzUKRlyP0xZ0t1wQgCj+dKlMM7H4I0Igup6L5Ym8b6f8A98\n"
    "yF6O2xnb3wKBwFFWLSRRiWhiKdxPTLw3XxpxL/mFNtVeRasetsTyLg+gLZNXKjd4\n"
    "wrkoj9iLBd5vjote3aDnN1F40zH+iteIi3D8JkT3aeuRv5tW2+H83l0XDu44bc5P\n"
    "07eYYquyRKNjfvngD7YL1pL5w1Nnh/aaUTcriwbd+TSJQDStYUD19mRXwD8OVJ/j\n"
    "ZvsVlRon5rKDFvTZui+ax3EMEKQqdXx08lPbxhvhwzMKrnH0dnTHOSzrjG9fldes\n"
    "rxxwGgqVz7EbiQKBwHg0TJOUdK/HZ+2Z6wWh/gO7UXjMg+PMk5Au3GFDHSsDifAS\n"
    "tgZE0/ucqi9xx/euUwk8VobqpRmzi0vGL/0/ANUlrrwohxfdPAk1k9xUrszgliy9\n"
    "HLCEOsmJplGWe6Jip8n6RWSHOy3qOHSqrlGVHikKlzxBFDThwlBSWh+6nq/2/MDP\n"
    "Qnuk8IhVdi++IcRs2V7B14I+pDDRXcpMcVdXXCnFjvv/jIUQEX+mV/sItpVDwLra\n"
    "nmBsZHiLZ1oXkb1hHQKBwQChmJmbTaXrArtO9l73/ax0OpCfeW2gvPTOS8dAxcP3\n"
    "P1Uwpj9A1iwvGDwkTtBOqBi1pSKpGBtOQIbY1GZcCNB2LHq9CfAkJPSxxUVbMr5H\n"
    "xgs2Zxz6/gOUzzehffMBcFQxPizlwLiH4FhTF7rMJIOXK9JoDf3790WEu09TYR3t\n"
    "jhRTkwzM/eIbp0S6NgVw8WVtsklYVLfBw8jHeOOE4VP/4kyQCSGxBFRbTA+Ih2Ox\n"
    "2Mcw3AmmDZnO07bHdlFDakc=\n"
    "-----END PRIVATE KEY-----\n";

spdm::RequesterIdentity Make() {
  const Result<crypto::PrivateKey> key = crypto::PrivateKey::FromPem(kKeyThatIsNoSecret);
  crypto::CertificateSpec spec;
  spec.subject = {{"CN", "EMULATED, NOT NVIDIA: GPU driver"}};
  spec.serial = {1};
  spec.not_before = TimePoint(std::chrono::seconds(1704067200));  // 2024
  spec.not_after = TimePoint(std::chrono::seconds(4102444800));   // 2100
  spec.digital_signature = true;
  if (key.ok()) {
    spec.key = key->public_key();
    if (const auto certificate = crypto::MakeCertificate(spec, *key, nullptr); certificate.ok())
      return {{certificate->Der()}, *key};
  }
  log::Error("the driver's own certificate cannot be made");
  std::abort();
}

}  // namespace

const spdm::RequesterIdentity& DriverIdentity() {
  static const spdm::RequesterIdentity identity = Make();
  return identity;
}

}  // namespace ccgpu::driver
